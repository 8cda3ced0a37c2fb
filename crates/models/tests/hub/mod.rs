//! A model hub and an index of packages on this computer, which behave as the real ones do
//! and misbehave on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, IsCa, KeyPair};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What goes wrong with one answer that has bytes.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection is closed after so many bytes.
    Cut(usize),
    /// Nothing more comes after so many bytes, and the connection stays.
    Silence(usize),
    /// This status, with a `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// The answer says that it has so many bytes more than the file.
    Longer(usize),
    /// The answer says that it has so many bytes fewer than the file.
    Shorter(usize),
    /// A byte is another one.
    WrongByte,
    /// The range is not looked at.
    WholeAnyway,
    /// The part begins a byte later than asked for.
    WrongPart,
    /// Bytes come as slowly as the test allows with [`Hub::allow`].
    Slow,
}

/// A file that the hub has.
#[derive(Debug, Clone)]
struct Served {
    content: Arc<Vec<u8>>,
    etag: Option<String>,
    /// Whether the hub says size and SHA-256 before it redirects.
    linked: bool,
    /// The content's name in Git: the hub keeps small files itself.
    blob: Option<String>,
}

/// A request for bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Served>,
    pages: BTreeMap<String, (String, String)>,
    faults: VecDeque<Fault>,
    asked: Vec<Asked>,
    as_proxy: usize,
}

pub struct Hub {
    /// Where it listens, without a slash at its end.
    pub url: String,
    /// Where a certificate lies that makes a client trust it.
    pub certificate: Option<PathBuf>,
    state: Arc<Mutex<State>>,
    /// How many bytes were sent, and how many slow answers may send.
    sent: watch::Sender<usize>,
    allowed: Arc<watch::Sender<usize>>,
    _folder: Option<tempfile::TempDir>,
}

/// Whether the certificate of a hub on TLS is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
}

impl Hub {
    pub async fn new() -> Self {
        Self::start(None).await
    }

    pub async fn encrypted(certificate: Certificate) -> Self {
        Self::start(Some(certificate)).await
    }

    async fn start(tls: Option<Certificate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (sent, _) = watch::channel(0);
        let allowed = Arc::new(watch::channel(0).0);
        let folder = tempfile::tempdir().unwrap();
        let acceptor = tls.map(|certificate| acceptor(certificate, folder.path()));
        let hub = Self {
            url: format!("{}://localhost:{port}", if tls.is_some() { "https" } else { "http" }),
            certificate: tls.map(|_| folder.path().join("ca.pem")),
            state: state.clone(),
            sent: sent.clone(),
            allowed: allowed.clone(),
            _folder: Some(folder),
        };
        let url = hub.url.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let visit = Visit {
                    state: state.clone(),
                    sent: sent.clone(),
                    allowed: allowed.clone(),
                    url: url.clone(),
                };
                match acceptor.clone() {
                    Some(acceptor) => {
                        tokio::spawn(async move {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                visit.answer(stream).await;
                            }
                        });
                    }
                    None => drop(tokio::spawn(visit.answer(stream))),
                }
            }
        });
        hub
    }

    /// Puts a file into a repository, or changes it.
    pub fn put(&self, path: &str, content: &[u8]) {
        let etag = Some(format!("\"{}\"", &sha256(content)[..16]));
        let served = Served { content: Arc::new(content.to_vec()), etag, linked: true, blob: None };
        self.state.lock().unwrap().files.insert(path.to_owned(), served);
    }

    /// Puts a small file into a repository, which the hub sends itself under its name in Git.
    pub fn put_small(&self, path: &str, content: &[u8], blob: &str) {
        self.put(path, content);
        let mut state = self.state.lock().unwrap();
        let served = state.files.get_mut(path).unwrap();
        (served.etag, served.blob) = (Some(format!("\"{blob}\"")), Some(blob.to_owned()));
    }

    /// From now on the file has no entity tag, as on a simple mirror.
    pub fn without_etag(&self, path: &str) {
        self.state.lock().unwrap().files.get_mut(path).unwrap().etag = None;
    }

    /// From now on the hub says nothing of the file before it sends it.
    pub fn without_link(&self, path: &str) {
        self.state.lock().unwrap().files.get_mut(path).unwrap().linked = false;
    }

    /// A page of the index of packages.
    pub fn page(&self, path: &str, kind: &str, content: &str) {
        let page = (kind.to_owned(), content.to_owned());
        self.state.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    /// These go wrong with the next answers that have bytes, one after the other.
    pub fn misbehave(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    /// What was asked for since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// How many requests came to it as to a proxy.
    pub fn as_proxy(&self) -> usize {
        self.state.lock().unwrap().as_proxy
    }

    /// How many faults are still to come.
    pub fn faults_left(&self) -> usize {
        self.state.lock().unwrap().faults.len()
    }

    /// Lets slow answers send so many bytes in all.
    pub fn allow(&self, bytes: usize) {
        self.allowed.send_replace(bytes);
    }

    /// How many bytes of files were sent.
    pub fn sent(&self) -> usize {
        *self.sent.borrow()
    }

    /// Waits until so many bytes of files were sent in all.
    pub async fn has_sent(&self, bytes: usize) {
        let mut sent = self.sent.subscribe();
        sent.wait_for(|sent| *sent >= bytes).await.unwrap();
    }
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A wheel with these files in it, packed.
pub fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in members {
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn acceptor(certificate: Certificate, folder: &std::path::Path) -> TlsAcceptor {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = authority.self_signed(&authority_key).unwrap();
    std::fs::write(folder.join("ca.pem"), authority_pem(authority.der())).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    if certificate == Certificate::Expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let signed = params.signed_by(&key, &authority, &authority_key).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![signed.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A certificate in PEM (RFC 7468).
fn authority_pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let groups: Vec<_> = der.chunks(3).collect();
    for line in groups.chunks(16) {
        for group in line {
            let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - group.len()));
            for place in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63] as char;
                text.push(if place > group.len() { '=' } else { digit });
            }
        }
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

/// One connection.
struct Visit {
    state: Arc<Mutex<State>>,
    sent: watch::Sender<usize>,
    allowed: Arc<watch::Sender<usize>>,
    url: String,
}

impl Visit {
    async fn answer(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte).await {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut path = head.split(' ').nth(1).unwrap().to_owned();
        // A proxy is asked for a whole address.
        if let Some(address) = path.strip_prefix("http://") {
            path = address[address.find('/').unwrap()..].to_owned();
            self.state.lock().unwrap().as_proxy += 1;
        }
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        // A client that has gone away is no fault of the hub's.
        let _ = self.reply(&mut stream, &path, field("range"), field("if-range")).await;
        let _ = stream.shutdown().await;
    }

    async fn reply(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        path: &str,
        range: Option<String>,
        if_range: Option<String>,
    ) -> std::io::Result<()> {
        let page = self.state.lock().unwrap().pages.get(path).cloned();
        if let Some((kind, content)) = page {
            let length = content.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            return stream.write_all(content.as_bytes()).await;
        }
        let name = path.split('?').next().unwrap_or(path);
        let at_storage = name.strip_prefix("/storage");
        let served = {
            let state = self.state.lock().unwrap();
            state.files.get(at_storage.unwrap_or(name)).cloned()
        };
        let Some(served) = served else {
            return stream
                .write_all(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                )
                .await;
        };
        let digest = sha256(&served.content);
        if at_storage.is_none() && served.blob.is_none() {
            // The hub itself has no bytes: it says what they are and where.
            let linked = if served.linked {
                let size = served.content.len();
                format!("X-Linked-Size: {size}\r\nX-Linked-ETag: \"{digest}\"\r\n")
            } else {
                String::new()
            };
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: {}/storage{path}?signed=1\r\n{linked}X-Repo-Commit: 0123\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                self.url
            );
            return stream.write_all(head.as_bytes()).await;
        }
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.asked.push(Asked {
                path: name.to_owned(),
                range: range.clone(),
                if_range: if_range.clone(),
            });
            state.faults.pop_front()
        };
        self.send(stream, &served, fault, range, if_range).await
    }

    async fn send(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        served: &Served,
        fault: Option<Fault>,
        range: Option<String>,
        if_range: Option<String>,
    ) -> std::io::Result<()> {
        if let Some(Fault::Status(status, wait)) = fault {
            let wait = wait.map(|wait| format!("Retry-After: {wait}\r\n")).unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status} Sorry\r\n{wait}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return stream.write_all(head.as_bytes()).await;
        }
        let length = served.content.len();
        let unchanged = if_range.is_none() || if_range == served.etag;
        let start: Option<usize> = range
            .filter(|_| unchanged && !matches!(fault, Some(Fault::WholeAnyway)))
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let mut etag =
            served.etag.as_ref().map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
        if served.blob.is_some() {
            etag += "X-Repo-Commit: 0123\r\n";
        }
        let (status, first) = match start {
            Some(start) if start >= length => {
                let head = format!(
                    "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{length}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                return stream.write_all(head.as_bytes()).await;
            }
            Some(start) => {
                let start = start + usize::from(matches!(fault, Some(Fault::WrongPart)));
                let range = format!("Content-Range: bytes {start}-{}/{length}\r\n", length - 1);
                (format!("206 Partial Content\r\n{range}"), start)
            }
            None => ("200 OK\r\n".to_owned(), 0),
        };
        let mut body = served.content[first..].to_vec();
        match fault {
            Some(Fault::Longer(more)) => body.extend(vec![b'+'; more]),
            Some(Fault::Shorter(fewer)) => body.truncate(body.len() - fewer),
            Some(Fault::WrongByte) => *body.last_mut().unwrap() ^= 1,
            _ => {}
        }
        let head = format!(
            "HTTP/1.1 {status}{etag}Accept-Ranges: bytes\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let slow = matches!(fault, Some(Fault::Slow));
        let end = match fault {
            Some(Fault::Cut(after) | Fault::Silence(after)) => after.min(body.len()),
            _ => body.len(),
        };
        for block in body[..end].chunks(4096) {
            if slow {
                let next = *self.sent.borrow() + block.len();
                let mut allowed = self.allowed.subscribe();
                // The hub ends with the test.
                if allowed.wait_for(|allowed| *allowed >= next).await.is_err() {
                    return Ok(());
                }
            }
            stream.write_all(block).await?;
            stream.flush().await?;
            self.sent.send_modify(|sent| *sent += block.len());
        }
        if let Some(Fault::Silence(_)) = fault {
            // Until the client gives it up.
            let never = Notify::new();
            let mut byte = [0];
            tokio::select! {
                () = never.notified() => {}
                _ = stream.read(&mut byte) => {}
            }
        }
        Ok(())
    }
}
