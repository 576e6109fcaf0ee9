//! From four sources to one [`Config`]: defaults, then the file, then the environment, then flags; the later one wins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use super::settings::Settings;
use super::{Config, ConfigError};

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file.
    pub file: ConfigFile,
    /// The environment, as of `std::env::vars_os`. `ROOMFUL_HISTORY__URL` is `history.url`; what begins otherwise is ignored,
    /// but for `RUST_LOG`, which is `log`.
    pub environment: Vec<(OsString, OsString)>,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// Which file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigFile {
    /// `roomful.toml` in the directory the server is started in, if it is there.
    #[default]
    Usual,
    /// This one, which must be there.
    Named(PathBuf),
}

/// A flag that sets one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As it is written: `--listen`.
    pub name: &'static str,
    /// The key it sets: `listen`.
    pub key: &'static str,
    /// The value, as text.
    pub value: String,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said otherwise.
    Default,
    /// The file.
    File {
        /// Which one.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What is in force, and why. Its `Display` is TOML with each value's source as a comment, secrets hidden.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    settings: Settings,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// Reads all sources.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong.
pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    if let Some((path, text)) = read(&sources.file)? {
        settings.read_file(&path, &text)?;
    }
    settings.read_environment(sources.environment)?;
    for Flag { name, key, value } in sources.flags {
        settings.set_text(key, &value, Source::Flag(name))?;
    }
    let config = settings.config()?;
    Ok(Loaded { config, settings })
}

fn read(file: &ConfigFile) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let (path, must_exist) = match file {
        ConfigFile::Usual => (Path::new("roomful.toml"), false),
        ConfigFile::Named(path) => (path.as_path(), true),
    };
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.into(), text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(None),
        Err(cause) => Err(ConfigError::Unreadable {
            path: path.into(),
            cause,
        }),
    }
}
