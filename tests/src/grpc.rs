//! A gRPC client that knows nothing but what reflection tells it, as `grpcurl` does: requests and answers as JSON;
//! never generated code.

mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::stream;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use wire::{Raw, Wire};

/// A server's gRPC port, and what it says it serves.
pub struct Grpc {
    runtime: Runtime,
    wire: Wire,
    pool: DescriptorPool,
    services: Vec<String>,
    authorization: Option<String>,
}

impl std::fmt::Debug for Grpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grpc").field("services", &self.services).finish_non_exhaustive()
    }
}

/// Where the gRPC port of a server is, as its ready line says.
///
/// # Panics
/// Where it names none.
#[must_use]
#[track_caller]
pub fn address(ready_line: &str) -> SocketAddr {
    let mut words = ready_line.split_whitespace().skip_while(|word| *word != "grpc").skip(1);
    let word = words.next().unwrap_or_else(|| panic!("no gRPC address in {ready_line}"));
    let authority = word.rsplit("://").next().unwrap_or(word).trim_end_matches('/');
    authority.parse().unwrap_or_else(|_| panic!("no gRPC address in {ready_line}"))
}

impl Grpc {
    /// Connects, and asks by reflection for everything there is.
    ///
    /// # Panics
    /// Where that does not work.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr, tls: Option<Arc<rustls::ClientConfig>>) -> Self {
        let builder = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = builder.expect("a runtime");
        let wire = runtime.block_on(Wire::connect(address, tls)).expect("a connection");
        let (pool, services) = runtime.block_on(reflect(wire.clone())).expect("reflection");
        Self { runtime, wire, pool, services, authorization: None }
    }

    /// With this `authorization` from now on; none for nobody.
    pub fn authorize(&mut self, authorization: Option<&str>) {
        self.authorization = authorization.map(str::to_owned);
    }

    /// The services it serves.
    #[must_use]
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Every method of `mcr.v1`, as `mcr.v1.Service/Method`.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        let services = self.pool.services().filter(|service| service.full_name().starts_with("mcr.v1."));
        let of = |method: MethodDescriptor| format!("{}/{}", method.parent_service().full_name(), method.name());
        services.flat_map(|service| service.methods().map(of).collect::<Vec<_>>()).collect()
    }

    /// The message a method takes.
    ///
    /// # Panics
    /// Where there is no such method.
    #[must_use]
    #[track_caller]
    pub fn input(&self, method: &str) -> MessageDescriptor {
        self.method(method).input()
    }

    #[track_caller]
    fn method(&self, method: &str) -> MethodDescriptor {
        let (service, name) = method.split_once('/').expect("Service/Method");
        let service = self.pool.get_service_by_name(service).unwrap_or_else(|| panic!("no service {service}"));
        service.methods().find(|known| known.name() == name).unwrap_or_else(|| panic!("no method {method}"))
    }

    /// Calls a method of `mcr.v1`, such as `AdminService/Health`.
    ///
    /// # Errors
    /// The status, where it is not OK.
    ///
    /// # Panics
    /// Where the request is no message of that method, or the answer none.
    #[track_caller]
    pub fn call(&self, method: &str, request: &Value) -> Result<Value, Status> {
        let method = format!("mcr.v1.{method}");
        let descriptor = self.method(&method);
        let options = DeserializeOptions::new();
        let message = DynamicMessage::deserialize_with_options(descriptor.input(), request, &options);
        let bytes = message.expect("a request of this method").encode_to_vec();
        let answer = self.raw(&method, bytes)?;
        let answer = DynamicMessage::decode(descriptor.output(), answer.as_slice()).expect("an answer of this method");
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false)
            .stringify_64_bit_integers(false);
        Ok(answer.serialize_with_options(serde_json::value::Serializer, &options).expect("it is JSON"))
    }

    /// Sends bytes as the message of `package.Service/Method`, whatever they are.
    ///
    /// # Errors
    /// The status, where it is not OK.
    ///
    /// # Panics
    /// Where `method` cannot stand in a path.
    pub fn raw(&self, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.runtime.block_on(async {
            let mut client = tonic::client::Grpc::new(self.wire.clone());
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let mut request = Request::new(message);
            if let Some(authorization) = &self.authorization {
                let value: MetadataValue<_> = authorization.parse().expect("it can be metadata");
                request.metadata_mut().insert("authorization", value);
            }
            let path = format!("/{method}").parse().expect("a path");
            Ok(client.unary(request, path, Raw).await?.into_inner())
        })
    }

    /// Sends a request that need not be gRPC; the HTTP status, the head, and the body.
    ///
    /// # Panics
    /// Where no answer comes.
    #[must_use]
    pub fn http(&self, request: http::Request<tonic::body::Body>) -> (http::StatusCode, http::HeaderMap, Vec<u8>) {
        self.runtime.block_on(async { self.wire.send(request).await.expect("an answer") })
    }
}

/// The code of an outcome.
#[must_use]
pub fn code<T>(outcome: &Result<T, Status>) -> Code {
    outcome.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

/// What came as metadata of a failure.
#[must_use]
pub fn metadata(status: &Status) -> &MetadataMap {
    status.metadata()
}

async fn ask(wire: Wire, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(wire);
    let mut answers = client.server_reflection_info(stream::iter([request])).await?.into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    answer.ok_or_else(|| Status::unavailable("no answer"))
}

async fn reflect(wire: Wire) -> Result<(DescriptorPool, Vec<String>), Status> {
    let MessageResponse::ListServicesResponse(list) =
        ask(wire.clone(), MessageRequest::ListServices(String::new())).await?
    else {
        return Err(Status::unavailable("no list of services"));
    };
    let services: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    let mut files = Vec::new();
    for service in services.iter().filter(|name| name.starts_with("mcr.v1.")) {
        let question = MessageRequest::FileContainingSymbol(service.clone());
        gather(&wire, question, &mut files).await?;
    }
    let mut pool = DescriptorPool::new();
    let set = prost_reflect::prost_types::FileDescriptorSet { file: files };
    pool.add_file_descriptor_set(set).map_err(|error| Status::unavailable(error.to_string()))?;
    Ok((pool, services))
}

/// A file and everything it imports, each once.
async fn gather(
    wire: &Wire,
    question: MessageRequest,
    files: &mut Vec<prost_reflect::prost_types::FileDescriptorProto>,
) -> Result<(), Status> {
    let mut questions = vec![question];
    while let Some(question) = questions.pop() {
        let MessageResponse::FileDescriptorResponse(answer) = ask(wire.clone(), question).await? else {
            return Err(Status::unavailable("no file"));
        };
        for bytes in answer.file_descriptor_proto {
            let file = prost_reflect::prost_types::FileDescriptorProto::decode(bytes.as_slice());
            let file = file.map_err(|error| Status::unavailable(error.to_string()))?;
            if files.iter().any(|known| known.name() == file.name()) {
                continue;
            }
            questions.extend(file.dependency.iter().cloned().map(MessageRequest::FileByFilename));
            files.push(file);
        }
    }
    Ok(())
}
