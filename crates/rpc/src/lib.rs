//! The gRPC services of `mcr.v1`: generated code and conversions; never what a service does.
