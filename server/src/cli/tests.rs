//! Tests of the command line.

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_shows_examples() {
    let mut command = Cli::command();
    command.build();
    assert!(command.render_help().to_string().contains("Examples:"));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        assert!(sub.render_help().to_string().contains("Examples:"), "{}", sub.get_name());
    }
}

#[test]
fn every_command_is_listed() {
    let help = Cli::command().render_long_help().to_string();
    for command in ["server", "init", "check-config", "snapshot", "restore", "import", "save"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
}

#[test]
fn mistakes_are_one_line_with_the_way_to_help() {
    let lines = [
        ("mcrsrv serve", "see mcrsrv --help"),
        ("mcrsrv server --lisen x", "see mcrsrv server --help"),
        ("mcrsrv server --dev --config x", "see mcrsrv server --help"),
        ("mcrsrv server --listen 127.0.0.1:1", "see mcrsrv server --help"),
        ("mcrsrv server --dev --anonymous --reset-password", "see mcrsrv server --help"),
        ("mcrsrv server --dev --listen here", "see mcrsrv --help"),
        ("mcrsrv check-config", "see mcrsrv check-config --help"),
        ("mcrsrv --log-format xml server --dev", "see mcrsrv --help"),
    ];
    for (line, help) in lines {
        let error = parse(line).unwrap_err();
        let said = usage_line(&error);
        assert!(!said.contains('\n') && !said.starts_with("error"), "{said}");
        assert!(said.ends_with(help), "{said}");
        assert!(error.use_stderr());
    }
}

#[test]
fn development_flags_have_their_defaults() {
    let Command::Server(server) = parse("mcrsrv server --dev --listen :0 --log-format json").unwrap().command else {
        panic!("server")
    };
    let request = dev_request(server);
    assert_eq!(request.data, PathBuf::from("./srv"));
    assert!(request.options.listen.unwrap().ip().is_unspecified());
    assert!(!request.options.plain_http && !request.options.anonymous && !request.reset_password);
}

#[test]
fn a_server_needs_to_know_its_configuration() {
    let failure = dispatch(parse("mcrsrv server").unwrap(), |_| ExitCode::SUCCESS).unwrap_err();
    assert_eq!(failure.code, 2);
    assert!(failure.lines[0].contains("--config FILE, or --dev"));
}

#[test]
fn openness_is_refused_where_others_reach_it() {
    let dir = tempfile::tempdir().unwrap();
    for flag in ["--plain-http", "--anonymous"] {
        for address in ["--listen 0.0.0.0:0", "--listen [::]:0", "--grpc-listen 10.0.0.1:0"] {
            let data = dir.path().join("srv");
            let line = format!("mcrsrv server --dev --data {} {flag} {address}", data.display());
            let failure = dispatch(parse(&line).unwrap(), |_| ExitCode::SUCCESS).unwrap_err();
            assert_eq!(failure.code, 1);
            assert!(failure.lines[0].starts_with(&format!("{flag} is refused on ")), "{:?}", failure.lines);
            assert!(!data.exists(), "nothing was made");
        }
    }
}

#[test]
fn names_from_outside_do_not_break_lines() {
    assert_eq!(one_line("a\nb\x1b[2Jü"), "a\\nb\\u{1b}[2Jü");
}
