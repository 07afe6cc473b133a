//! Log lines on stderr, as text or JSON, one event a line whatever its values hold; never what is worth a line.

use std::fmt::{self, Debug, Write as _};
use std::io;

use mcr_seams::{Clock, rfc3339};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::LogFormat;

/// Changes the level of a running log.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
}

impl LogHandle {
    /// Takes a new level; one that is no level is `info`.
    pub fn set_level(&self, level: &str) {
        // It fails only when the subscriber is gone, and then nobody logs.
        let _ = self.filter.reload(targets(level));
    }
}

/// Starts logging to stderr for the whole process.
///
/// # Errors
/// When the process logs already.
pub fn start(format: LogFormat, level: &str) -> Result<LogHandle, tracing_subscriber::util::TryInitError> {
    let (filter, handle) = reload::Layer::new(targets(level));
    tracing_subscriber::registry().with(filter).with(layer(format, io::stderr)).try_init()?;
    Ok(LogHandle { filter: handle })
}

/// The level holds for this project; what libraries say below `info` is noise here.
fn targets(level: &str) -> Targets {
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("mcr", level)
        // It tells at `info` how it is built.
        .with_target("tokio_cron_scheduler", level.min(LevelFilter::WARN))
}

fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        // serde_json escapes every control character.
        LogFormat::Json => {
            lines.json().with_timer(Timer(Clock::system())).flatten_event(true).with_span_list(false).boxed()
        }
        LogFormat::Text => lines.fmt_fields(EscapedFields).event_format(Text(Timer(Clock::system()))).boxed(),
    }
}

struct Timer(Clock);

impl FormatTime for Timer {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&rfc3339(self.0.now_ms()))
    }
}

/// `TIME LEVEL span{key=value}: message key=value`.
struct Text(Timer);

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.0.format_time(&mut writer)?;
        write!(writer, " {:<5} ", event.metadata().level())?;
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            writer.write_str(span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(writer, "{{{fields}}}")?;
            }
            writer.write_str(": ")?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Writes fields so that no value can begin a line, move a cursor or turn the text around.
struct EscapedFields;

impl<'w> FormatFields<'w> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let space = if self.first { "" } else { " " };
        self.first = false;
        let writer = &mut self.writer;
        self.result = self.result.and_then(|()| {
            writer.write_str(space)?;
            if field.name() != "message" {
                write!(writer, "{}=", field.name())?;
            }
            Escaping(writer).write_fmt(value)
        });
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let plain = field.name() == "message" || !value.contains([' ', '"', '=']) && !value.is_empty();
        if plain {
            self.write(field, format_args!("{value}"));
        } else {
            self.write(field, format_args!("{value:?}"));
        }
    }
}

/// Passes text on with its control characters spelt out.
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if is_dangerous(c) {
                write!(self.0, "{}", c.escape_default())?;
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Controls, line separators and the marks that turn the direction of text.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
