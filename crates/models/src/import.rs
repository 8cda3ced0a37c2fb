//! Taking a GGUF file that is on this computer into the models: a person's own, or another
//! program's. It is looked at first, and linked where the file system can, so that gigabytes
//! lie there once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lectern_gguf::{GgufError, Header};

use crate::catalogue::{Model, ModelFile, ModelRole, is_plain};
use crate::download::check_room;
use crate::store::{Manifest, io_error, sha256};
use crate::{Installed, ModelStore, ModelsError};

/// The name of a chat model's file in its folder.
const WEIGHTS: &str = "model.gguf";

/// Looks at a GGUF file: whether it is whole, and a chat model that can be run. Reads its
/// header only, so the model that is returned has no digest, and its identity may be taken.
///
/// # Errors
///
/// [`ModelsError::Unusable`] with what is wrong with it.
pub fn inspect(path: &Path, name: Option<&str>) -> Result<Model, ModelsError> {
    let unusable = |source| ModelsError::Unusable { path: path.to_owned(), source };
    let header = Header::read(path).map_err(unusable)?;
    header.check_chat().map_err(unusable)?;
    let shape = header.shape().map_err(unusable)?;
    let context = header
        .context_tokens()
        .and_then(|tokens| usize::try_from(tokens).ok())
        .ok_or_else(|| unusable(GgufError::Malformed("it does not say context_length".into())))?;
    // A name that says nothing, as in a folder of its own, gives way to what the file says.
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let stem = Some(stem).filter(|stem| !matches!(*stem, "" | "model") && !is_digest(stem));
    let name = name.or(stem).or(header.name()).unwrap_or("model").to_owned();
    let bytes = header.file_bytes();
    let file = ModelFile { name: WEIGHTS.into(), sha256: None, bytes, sources: vec![] };
    Ok(Model {
        id: plain(&name),
        role: ModelRole::Chat,
        name,
        architecture: header.architecture().to_owned(),
        quantisation: header.quantisation(),
        context_tokens: context,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        first_token: false,
        cosine_spread: None,
        min_evidence: None,
        languages: vec![],
        licence: header.licence().unwrap_or_default().to_owned(),
        default: false,
        tests_only: false,
        bytes,
        shape: Some(shape),
        ability: None,
        files: vec![file],
    })
}

impl ModelStore {
    /// Takes a GGUF file into the models under a name of one's choice, or its own. A file that
    /// the catalogue knows becomes the catalogue's model; one that is here already stays the one
    /// it is. Reads all of the file: seconds for a gigabyte.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Unusable`] where it is no chat model that can be run, others where it cannot
    /// be read or kept.
    pub fn import(&self, path: &Path, name: Option<&str>) -> Result<Installed, ModelsError> {
        let path = std::path::absolute(path).map_err(|source| io_error(path, source))?;
        let mut model = inspect(&path, name)?;
        // What a link points to, since the link may go.
        let origin = path.canonicalize().map_err(|source| io_error(&path, source))?;
        let digest = sha256(&origin).map_err(|source| io_error(&origin, source))?;
        let same = |other: &Model| match other.files.as_slice() {
            [file] => file.sha256.as_deref() == Some(digest.as_str()),
            _ => false,
        };
        let same = self.models().into_iter().find(same);
        let known = same.is_some();
        if let Some(same) = same {
            if let Ok(installed) = self.find(&same.id) {
                return Ok(installed);
            }
            model = same;
        }
        // What nothing here knows by its content gets a place of its own.
        if !known {
            model.id = self.free_id(&model.id);
        }
        if let [file] = model.files.as_mut_slice() {
            file.sha256 = Some(digest);
        }
        let directory = self.directory(&model.id)?;
        fs::create_dir_all(&directory).map_err(|source| io_error(&directory, source))?;
        let name = model.files.first().map_or(WEIGHTS, |file| &file.name);
        let linked = place(&origin, &directory, name)?;
        self.keep_manifest(&Manifest { model: model.clone(), origin: Some(origin), linked })?;
        self.find(&model.id)
    }

    /// The first identity of that kind that nothing has.
    fn free_id(&self, wanted: &str) -> String {
        let taken = |id: &str| {
            self.is_in_catalogue(id) || self.directory(id).is_ok_and(|folder| folder.exists())
        };
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|id| !taken(id))
            .unwrap_or_else(|| wanted.to_owned())
    }
}

/// Puts a file into a folder under a name, whole: as a second name for it, as a link to it, or as
/// a copy, whichever is possible first. Returns whether it is no copy.
fn place(origin: &Path, directory: &Path, name: &str) -> Result<bool, ModelsError> {
    let new = directory.join(format!(".{name}.new"));
    let failed = |source| io_error(&new, source);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let linked = fs::hard_link(origin, &new).is_ok() || symbolic_link(origin, &new).is_ok();
    if !linked {
        let bytes = origin.metadata().map_err(|source| io_error(origin, source))?.len();
        check_room(directory, bytes)?;
        let copied = fs::copy(origin, &new).and_then(|_| fs::File::open(&new)?.sync_all());
        if let Err(error) = copied {
            let _ = fs::remove_file(&new);
            return Err(failed(error));
        }
    }
    fs::rename(&new, directory.join(name)).map_err(failed)?;
    Ok(linked)
}

#[cfg(unix)]
fn symbolic_link(origin: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(origin, link)
}

#[cfg(windows)]
fn symbolic_link(origin: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(origin, link)
}

/// Whether a name is a content's digest, as in caches.
fn is_digest(name: &str) -> bool {
    let digits = name.strip_prefix("sha256-").unwrap_or(name);
    digits.len() >= 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name as it can be a folder's.
fn plain(name: &str) -> String {
    let mut id: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' })
        .collect();
    while id.contains("--") {
        id = id.replace("--", "-");
    }
    let id = id.trim_matches(['-', '.']).chars().take(80).collect::<String>();
    if is_plain(&id) { id } else { "imported-model".into() }
}

/// A program that keeps models of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherProgram {
    /// LM Studio.
    LmStudio,
    /// Ollama.
    Ollama,
    /// GPT4All.
    Gpt4all,
    /// The cache of the model hub's own programs.
    HubCache,
}

/// A model that another program keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// Whose it is.
    pub program: OtherProgram,
    /// Its name for people.
    pub name: String,
}

/// Where other programs keep their models.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders with a folder for each maker, and in it one for each model.
    pub lm_studio: Vec<PathBuf>,
    /// Folders with `manifests` and `blobs`.
    pub ollama: Vec<PathBuf>,
    /// Folders with files.
    pub gpt4all: Vec<PathBuf>,
    /// Folders with `models--MAKER--NAME`.
    pub hub: Vec<PathBuf>,
}

impl Places {
    /// Where they usually lie, or where the programs' own variables say.
    pub fn of_this_computer() -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let home = |path: &str| dirs::home_dir().map(|home| home.join(path));
        let list = |places: [Option<PathBuf>; 2]| places.into_iter().flatten().collect();
        let hub = variable("HF_HUB_CACHE")
            .or_else(|| variable("HF_HOME").map(|home| home.join("hub")))
            .or_else(|| home(".cache/huggingface/hub"));
        Self {
            lm_studio: list([home(".lmstudio/models"), home(".cache/lm-studio/models")]),
            ollama: list([
                variable("OLLAMA_MODELS").or_else(|| home(".ollama/models")),
                // Where it is a service of the system.
                Some("/usr/share/ollama/.ollama/models".into()),
            ]),
            gpt4all: list([
                dirs::data_local_dir().map(|data| data.join("nomic.ai/GPT4All")),
                dirs::data_dir().map(|data| data.join("nomic.ai/GPT4All")),
            ]),
            hub: list([hub, None]),
        }
    }

    /// The models in these places, by name. What is no single GGUF file is left out.
    pub fn find(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut add = |path: PathBuf, program, name: Option<String>| {
            let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            if let Some(name) = name.or_else(stem) {
                found.push(Found { path, program, name });
            }
        };
        for root in &self.lm_studio {
            for model in children(root).iter().flat_map(|maker| children(maker)) {
                let files = children(&model);
                files
                    .into_iter()
                    .filter(|file| is_gguf(file))
                    .for_each(|file| add(file, OtherProgram::LmStudio, None));
            }
        }
        for root in &self.gpt4all {
            let files = children(root);
            files
                .into_iter()
                .filter(|file| is_gguf(file))
                .for_each(|file| add(file, OtherProgram::Gpt4all, None));
        }
        for root in &self.hub {
            for snapshot in
                children(root).iter().flat_map(|model| children(&model.join("snapshots")))
            {
                let files = children(&snapshot);
                files
                    .into_iter()
                    .filter(|file| is_gguf(file))
                    .for_each(|file| add(file, OtherProgram::HubCache, None));
            }
        }
        for root in &self.ollama {
            // A registry, a maker, a model, and a file for each of its variants.
            let models = children(&root.join("manifests"))
                .into_iter()
                .flat_map(|registry| children(&registry))
                .flat_map(|maker| children(&maker));
            for variant in models.flat_map(|model| children(&model)) {
                if let Some(blob) = weights_of(&variant, root) {
                    add(blob, OtherProgram::Ollama, variant_name(&variant));
                }
            }
        }
        found.sort_by_key(|found| found.name.to_lowercase());
        found.dedup_by(|a, b| a.path.canonicalize().ok() == b.path.canonicalize().ok());
        found
    }
}

/// What lies in a folder; nothing where there is none or it may not be read.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Whether it is a file of weights: eyes and parts of a model are no models.
fn is_gguf(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.to_lowercase();
    name.ends_with(".gguf") && !name.contains("mmproj") && !name.contains("-of-0") && path.is_file()
}

/// The file of weights that a manifest of Ollama names.
fn weights_of(manifest: &Path, root: &Path) -> Option<PathBuf> {
    let content: serde_json::Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    let layer = content.get("layers")?.as_array()?.iter().find(|layer| {
        layer.get("mediaType").and_then(|kind| kind.as_str())
            == Some("application/vnd.ollama.image.model")
    })?;
    let digest = layer.get("digest")?.as_str()?.replace(':', "-");
    // Only a digest becomes a path.
    let blob = is_digest(&digest).then(|| root.join("blobs").join(digest))?;
    blob.is_file().then_some(blob)
}

/// The name of a variant as Ollama's users write it.
fn variant_name(variant: &Path) -> Option<String> {
    let tag = variant.file_name()?.to_str()?;
    let model = variant.parent()?.file_name()?.to_str()?;
    Some(format!("{model}:{tag}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lectern_gguf::fixture::GgufFile;

    use super::*;

    /// A whole chat model, with a number in it that makes it another one.
    fn chat(number: u32) -> GgufFile {
        GgufFile::new("llama")
            .text("general.name", "Tiny Chat")
            .integer("llama.block_count", 1)
            .integer("llama.context_length", 2048)
            .integer("llama.embedding_length", 64)
            .integer("llama.feed_forward_length", 128)
            .integer("llama.attention.head_count", 4)
            .integer("test.number", number)
            .chat()
            .tokens(&[("a", 1), ("<|im_end|>", 3)])
            .tensor("token_embd.weight", &[64, 2], 0, 64 * 2 * 4)
    }

    struct World {
        folder: tempfile::TempDir,
        store: ModelStore,
    }

    impl World {
        fn new() -> Self {
            Self::of(vec![])
        }

        fn of(catalogue: Vec<Model>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = ModelStore::of(folder.path().join("models"), catalogue.leak());
            Self { folder, store }
        }

        fn put(&self, path: &str, content: &[u8]) -> PathBuf {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        }
    }

    #[test]
    fn an_imported_model_is_one_like_the_others() {
        let world = World::new();
        let file = world.put("Downloads/My Model (v1) Q8.gguf", &chat(1).bytes());
        let imported = world.store.import(&file, None).unwrap();
        assert_eq!(imported.model.id, "my-model-v1-q8");
        assert_eq!(imported.model.name, "My Model (v1) Q8");
        assert_eq!(
            (imported.model.architecture.as_str(), imported.model.context_tokens),
            ("llama", 2048)
        );
        assert_eq!(imported.model.quantisation, "F32");
        assert_eq!(fs::read(imported.gguf().unwrap()).unwrap(), chat(1).bytes());
        world.store.verify("my-model-v1-q8").unwrap();
        // Another start finds it again.
        let again = ModelStore::of(world.store.root(), Vec::leak(vec![]));
        assert_eq!(again.installed(), std::slice::from_ref(&imported));
        // The same once more is the same.
        assert_eq!(world.store.import(&file, Some("otherwise")).unwrap(), imported);
        // It takes no room beside the person's file, and that one stays.
        assert_eq!(imported.linked_to, Some(file.canonicalize().unwrap()));
        let freed = world.store.remove("my-model-v1-q8").unwrap();
        assert!(freed < 2_000, "{freed}");
        assert!(file.exists() && world.store.installed().is_empty());
    }

    #[test]
    fn what_the_person_removed_is_freed_with_the_model() {
        let world = World::new();
        let file = world.put("tiny.gguf", &chat(1).bytes());
        let imported = world.store.import(&file, None).unwrap();
        fs::remove_file(&file).unwrap();
        // It was linked so that it stays whole.
        world.store.verify(&imported.model.id).unwrap();
        let freed = world.store.remove(&imported.model.id).unwrap();
        assert!(freed >= chat(1).bytes().len() as u64, "{freed}");
    }

    #[test]
    fn names_that_are_taken_get_a_number() {
        let world = World::new();
        let ids: Vec<_> = (0..3)
            .map(|number| {
                let file = world.put(&format!("{number}/tiny.gguf"), &chat(number).bytes());
                world.store.import(&file, None).unwrap().model.id
            })
            .collect();
        assert_eq!(ids, ["tiny", "tiny-2", "tiny-3"]);
        for (name, expected) in [
            ("../../etc/passwd", "etc-passwd"),
            ("", "imported-model"),
            ("模型", "imported-model"),
            ("llama3.2:3b", "llama3.2-3b"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn a_file_that_the_catalogue_knows_becomes_its_model() {
        let known = |sha256| {
            let elsewhere = World::new();
            let file = elsewhere.put("known.gguf", &chat(7).bytes());
            let mut model = inspect(&file, None).unwrap();
            model.id = "known-by-its-content".into();
            model.files[0].sha256 = sha256;
            model
        };
        let elsewhere = World::new();
        let digest = sha256(&elsewhere.put("a.gguf", &chat(7).bytes())).unwrap();
        let world = World::of(vec![known(Some(digest))]);
        let file = world.put("whatever.gguf", &chat(7).bytes());
        let imported = world.store.import(&file, None).unwrap();
        assert_eq!(imported.model.id, "known-by-its-content");
        world.store.verify("known-by-its-content").unwrap();
        // One that only has the same name does not take its place.
        let world = World::of(vec![known(None)]);
        let file = world.put("known-by-its-content.gguf", &chat(7).bytes());
        assert_eq!(world.store.import(&file, None).unwrap().model.id, "known-by-its-content-2");
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_the_reason_and_leaves_nothing() {
        let whole = chat(1).bytes();
        let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
            ("a text", b"Dear Sir or Madam".to_vec(), "not a GGUF", "GGUF format"),
            ("a truncated tensor", whole[..whole.len() - 9].to_vec(), "ends too early", "again"),
            ("an unknown architecture", GgufFile::new("gpt-oss").bytes(), "gpt-oss", "family"),
            (
                "no template",
                GgufFile::new("llama")
                    .text("tokenizer.ggml.model", "gpt2")
                    .integer("tokenizer.ggml.eos_token_id", 1)
                    .tokens(&[("a", 1), ("b", 3)])
                    .tensor("token_embd.weight", &[64, 2], 0, 512)
                    .bytes(),
                "no chat template",
                "instruct",
            ),
            (
                "another model's words",
                chat(1).tokens(&[("a", 1), ("b", 1), ("c", 1)]).bytes(),
                "3 words and its weights have 2",
                "converted",
            ),
            (
                "no sizes",
                GgufFile::new("llama").chat().tokens(&[("a", 1), ("b", 1)]).bytes(),
                "does not say",
                "whole",
            ),
        ];
        for (name, content, said, hint) in cases {
            let world = World::new();
            let error = world.store.import(&world.put("x.gguf", &content), None).unwrap_err();
            assert!(error.to_string().contains(said), "{name}: {error}");
            assert!(error.hint().contains(hint), "{name}: {}", error.hint());
            assert!(!world.store.root().exists(), "{name}");
        }
        let world = World::new();
        let error =
            world.store.import(&world.folder.path().join("nothing.gguf"), None).unwrap_err();
        assert!(error.to_string().contains("nothing.gguf"), "{error}");
    }

    #[test]
    fn models_of_other_programs_are_found_where_they_lie() {
        let world = World::new();
        let digest = "a".repeat(64);
        world.put("lm/makers/tiny-GGUF/tiny-q4.gguf", &chat(1).bytes());
        world.put("lm/makers/tiny-GGUF/mmproj-tiny.gguf", b"eyes");
        world.put("gpt/Orca.gguf", &chat(2).bytes());
        world.put("gpt/localdocs.db", b"no model");
        world.put("hub/models--makers--small/snapshots/0123/small.gguf", &chat(3).bytes());
        world.put("hub/models--makers--small/snapshots/0123/large-00001-of-00002.gguf", b"a part");
        world.put(&format!("ollama/blobs/sha256-{digest}"), &chat(4).bytes());
        let manifest = |digest: &str| {
            serde_json::json!({"layers": [
                {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:00"},
                {"mediaType": "application/vnd.ollama.image.model", "digest": digest},
            ]})
            .to_string()
        };
        let library = "ollama/manifests/registry.ollama.ai/library";
        world.put(
            &format!("{library}/llama3.2/3b"),
            manifest(&format!("sha256:{digest}")).as_bytes(),
        );
        world.put(
            &format!("{library}/gone/latest"),
            manifest(&format!("sha256:{}", "b".repeat(64))).as_bytes(),
        );
        world.put(&format!("{library}/evil/latest"), manifest("../../gpt/Orca.gguf").as_bytes());
        world.put(&format!("{library}/broken/latest"), b"{");
        let at =
            |name: &str| vec![world.folder.path().join(name), world.folder.path().join("nowhere")];
        let places = Places {
            lm_studio: at("lm"),
            ollama: at("ollama"),
            gpt4all: at("gpt"),
            hub: at("hub"),
        };
        let found = places.find();
        let names: Vec<_> =
            found.iter().map(|found| (found.name.as_str(), found.program)).collect();
        use OtherProgram::*;
        assert_eq!(
            names,
            [
                ("llama3.2:3b", Ollama),
                ("Orca", Gpt4all),
                ("small", HubCache),
                ("tiny-q4", LmStudio)
            ]
        );
        for found in &found {
            let imported = world.store.import(&found.path, Some(&found.name)).unwrap();
            assert_eq!(imported.model.name, found.name);
            assert!(imported.linked_to.is_some());
        }
        assert_eq!(world.store.installed().len(), 4);
    }
}
