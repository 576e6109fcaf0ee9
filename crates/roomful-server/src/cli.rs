//! Commands and flags. A flag is one key of the configuration under a shorter name; everything else is for the file.

use std::env;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use roomful_server::config::{ConfigFile, Flag, Sources};

/// Chat rooms for any web site: run it, open a browser, talk.
#[derive(Debug, Parser)]
#[command(name = "roomful", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Serve rooms; what happens without a command, too.
    #[default]
    Serve,
    /// Print what is in force as TOML, and where each value comes from; secrets are hidden.
    Config,
    /// Say whether the server would start: settings, address, history.
    Check,
    /// Speak to the channel layer: one JSON object per line on standard input, one answer per line on standard output.
    #[command(after_help = LINES)]
    Layer,
}

#[derive(Debug, Args)]
struct Flags {
    /// Settings; without this, ./roomful.toml if it is there.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ROOMFUL_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// Where to listen [127.0.0.1:8000].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where rooms are recorded: sqlite:PATH, postgres://…, memory or none [sqlite:roomful.db].
    #[arg(long, global = true, value_name = "URL")]
    history: Option<String>,
    /// How several processes hear each other: memory, redis://HOST:PORT or redis+pubsub://HOST:PORT [memory].
    #[arg(long, global = true, value_name = "URL")]
    layer: Option<String>,
    /// Do not limit messages per second or connections per address; for load tests.
    #[arg(long, global = true)]
    no_rate_limits: bool,
}

const LINES: &str = r#"Lines:
  {"do":"new_channel"}
  {"do":"send","channel":…,"event":…}
  {"do":"receive","channel":…,"wait":1.0}
  {"do":"group_add","group":…,"channel":…}
  {"do":"group_discard","group":…,"channel":…}
  {"do":"group_send","group":…,"event":…}
  {"do":"flush"}

Each is answered by {"ok":…} or {"error":{"code":…,"message":…}}. Bytes are {"__bytes__":"base64"}."#;

const EXAMPLES: &str = "\
Examples:
  roomful                                         rooms on http://127.0.0.1:8000/, kept in ./roomful.db
  roomful --listen 0.0.0.0:80 --history memory    open to the network, forgotten at the end
  roomful check --config /etc/roomful.toml        would it start?

Every setting can stand in roomful.toml or in the environment: history.keep_for is ROOMFUL_HISTORY__KEEP_FOR.
Flags win over the environment, the environment over the file. `roomful config` shows all of them.";

impl Cli {
    /// What to do.
    pub(crate) fn command(&self) -> Command {
        self.command.unwrap_or_default()
    }

    /// Where the configuration comes from.
    pub(crate) fn sources(&self) -> Sources {
        let Flags {
            config,
            listen,
            history,
            layer,
            no_rate_limits,
        } = &self.flags;
        let flag = |name, key, value: &str| Flag {
            name,
            key,
            value: value.to_owned(),
        };
        let flags = [
            listen
                .as_deref()
                .map(|address| flag("--listen", "listen", address)),
            history
                .as_deref()
                .map(|url| flag("--history", "history.url", url)),
            layer
                .as_deref()
                .map(|url| flag("--layer", "layer.url", url)),
            no_rate_limits.then(|| flag("--no-rate-limits", "limits.rate_limits", "false")),
        ];
        Sources {
            file: config.clone().map_or(ConfigFile::Usual, ConfigFile::Named),
            environment: env::vars_os().collect(),
            flags: flags.into_iter().flatten().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use roomful_server::config::{HistoryUrl, LayerUrl, load};

    use super::*;

    fn parsed(line: &str) -> Cli {
        Cli::try_parse_from(line.split_whitespace()).unwrap()
    }

    #[test]
    fn the_commands_and_flags_do_not_contradict_each_other() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert_eq!(parsed("roomful").command(), Command::Serve);
        assert_eq!(parsed("roomful serve").command(), Command::Serve);
        assert_eq!(
            parsed("roomful --listen a:1 check").command(),
            Command::Check
        );
        assert_eq!(
            parsed("roomful config --listen a:1").command(),
            Command::Config
        );
        assert!(Cli::try_parse_from(["roomful", "server"]).is_err());
    }

    #[test]
    fn every_flag_sets_its_key_on_either_side_of_the_command() {
        for line in [
            "roomful --listen localhost:1 --history none --layer memory --no-rate-limits serve",
            "roomful serve --listen localhost:1 --history none --layer memory --no-rate-limits",
        ] {
            // The environment of whoever runs the tests is not part of this one.
            let sources = Sources {
                environment: Vec::new(),
                ..parsed(line).sources()
            };

            let config = load(sources).unwrap().config;

            assert_eq!(config.listen, "localhost:1");
            assert_eq!(config.history.url, HistoryUrl::None);
            assert_eq!(config.layer.url, LayerUrl::Memory);
            assert!(!config.limits.rate_limits);
        }
    }

    #[test]
    fn a_named_file_must_be_there_and_the_usual_one_need_not() {
        assert_eq!(
            parsed("roomful --config a.toml").sources().file,
            ConfigFile::Named("a.toml".into())
        );
    }
}
