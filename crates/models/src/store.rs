use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalogue::{self, Model, ModelFile, ModelRole, is_plain};
use crate::transfer::{hexadecimal, write_whole};
use crate::{ModelsError, catalogue as whole_catalogue};

/// The name of [`Manifest`] in a model's folder.
const MANIFEST: &str = "lectern-model.json";

/// The folder that models lie in, each in a folder of its own.
#[derive(Debug, Clone)]
pub struct ModelStore {
    root: PathBuf,
    models: &'static [Model],
}

/// Where the libraries that use models are noted, each in a file of its own: several processes
/// may note theirs at the same time.
const LIBRARIES: &str = ".libraries";

/// A model whose files are all there with the right sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// What it is.
    pub model: Model,
    /// The folder with its files.
    pub directory: PathBuf,
    /// The file that it is linked to, for one that was imported without a copy.
    pub linked_to: Option<PathBuf>,
}

impl Installed {
    /// The path of one of its files. `name` is the catalogue's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The path of its weights in GGUF, if it has such.
    pub fn gguf(&self) -> Option<PathBuf> {
        let is_gguf = |name: &str| Path::new(name).extension().is_some_and(|end| end == "gguf");
        let file = self.model.files.iter().find(|file| is_gguf(&file.name))?;
        Some(self.path(&file.name))
    }
}

/// What a model's folder says of it, where the catalogue does not know it to the byte: what
/// was imported, and what only the hub knew the SHA-256 of. It is written last, so a folder
/// that has one is whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) model: Model,
    /// The file that was imported.
    #[serde(default)]
    pub(crate) origin: Option<PathBuf>,
    /// Whether that file takes the place: it was linked and not copied.
    #[serde(default)]
    pub(crate) linked: bool,
}

impl ModelStore {
    /// The models under `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::of(root, whole_catalogue())
    }

    /// With a catalogue of its own, for tests.
    #[doc(hidden)]
    pub fn of(root: impl Into<PathBuf>, models: &'static [Model]) -> Self {
        Self { root: root.into(), models }
    }

    /// Where models lie if nobody says otherwise: `LECTERN_MODELS`, or `lectern/models`
    /// in the platform's cache folder, because all of it can be fetched again.
    pub fn default_root() -> Result<PathBuf, ModelsError> {
        root_from(std::env::var_os("LECTERN_MODELS"), dirs::cache_dir())
    }

    /// The folder that holds the models' folders.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The model called `id`, of the catalogue or imported, installed or not. What is installed
    /// says sizes and digests that the catalogue may lack.
    pub fn model(&self, id: &str) -> Result<Model, ModelsError> {
        let known = catalogue::find(self.models, id);
        match (known, self.manifest(id)) {
            (Ok(model), Some(manifest)) if !model.exact() => Ok(Model {
                files: manifest.model.files,
                bytes: manifest.model.bytes,
                ..model.clone()
            }),
            (Ok(model), _) => Ok(model.clone()),
            (Err(_), Some(manifest)) => Ok(manifest.model),
            (Err(unknown), None) => Err(unknown),
        }
    }

    /// Every model of the catalogue in its order, then those that were imported, by name.
    pub fn models(&self) -> Vec<Model> {
        let known = self.models.iter().filter_map(|model| self.model(&model.id).ok());
        let folders = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut imported: Vec<Model> = folders
            .filter_map(|folder| folder.file_name().into_string().ok())
            .filter(|id| !self.is_in_catalogue(id))
            .filter_map(|id| self.manifest(&id).map(|manifest| manifest.model))
            .collect();
        imported.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        known.chain(imported).collect()
    }

    /// Whether the catalogue has a model called `id`.
    pub fn is_in_catalogue(&self, id: &str) -> bool {
        catalogue::find(self.models, id).is_ok()
    }

    /// The model of the catalogue to take for `role` when a person has chosen none.
    pub fn default_model(&self, role: ModelRole) -> Option<&'static Model> {
        self.models.iter().find(|model| model.role == role && model.default)
    }

    /// The folder of a model, whether it is installed or not.
    pub fn directory(&self, id: &str) -> Result<PathBuf, ModelsError> {
        // Only a plain name becomes a path: `../..` is none.
        if is_plain(id) {
            Ok(self.root.join(id))
        } else {
            Err(ModelsError::Unknown { id: id.to_owned() })
        }
    }

    /// The models that are installed, in the order of [`Self::models`].
    pub fn installed(&self) -> Vec<Installed> {
        self.models().iter().filter_map(|model| self.find(&model.id).ok()).collect()
    }

    /// The default model of a role where it is installed, otherwise the first of that role
    /// that is. A model for tests is never taken; name it with [`Self::find`].
    pub fn preferred(&self, role: ModelRole) -> Option<Installed> {
        let models = self.models().into_iter();
        let mut candidates: Vec<_> = models
            .filter(|model| model.role == role && !model.tests_only)
            .filter_map(|model| self.find(&model.id).ok())
            .collect();
        candidates.sort_by_key(|installed| !installed.model.default);
        candidates.into_iter().next()
    }

    /// The model called `id`, if its files pass [`Self::quick_check`].
    pub fn find(&self, id: &str) -> Result<Installed, ModelsError> {
        self.quick_check(id)?;
        let linked = self.manifest(id).filter(|manifest| manifest.linked);
        Ok(Installed {
            model: self.model(id)?,
            directory: self.directory(id)?,
            linked_to: linked.and_then(|manifest| manifest.origin),
        })
    }

    /// Checks that every file is there with the right size. It costs nothing and finds
    /// interrupted copies; [`Self::verify`] finds the rest.
    pub fn quick_check(&self, id: &str) -> Result<(), ModelsError> {
        self.each_file(id, |_, _, _| Ok(()))
    }

    /// Reads every file and compares its SHA-256 with what it should be: seconds for a
    /// gigabyte, so it belongs on a thread of its own.
    pub fn verify(&self, id: &str) -> Result<(), ModelsError> {
        self.each_file(id, |path, _, expected| {
            let found = sha256(path).map_err(|source| io_error(path, source))?;
            if found == expected {
                return Ok(());
            }
            Err(ModelsError::WrongContent {
                path: path.to_owned(),
                expected: expected.to_owned(),
                found,
            })
        })
    }

    /// Checks the sizes of all files first, then calls `check` for each.
    fn each_file(
        &self,
        id: &str,
        check: impl Fn(&Path, &ModelFile, &str) -> Result<(), ModelsError>,
    ) -> Result<(), ModelsError> {
        let model = self.model(id)?;
        let directory = self.directory(id)?;
        for file in &model.files {
            let path = directory.join(&file.name);
            // A file that was checked has left its digest in the manifest.
            if file.sha256.is_none() {
                return Err(ModelsError::Missing { id: id.to_owned(), path });
            }
            check_size(&model.id, path, file)?;
        }
        model.files.iter().try_for_each(|file| {
            check(&directory.join(&file.name), file, file.sha256.as_deref().unwrap_or_default())
        })
    }

    pub(crate) fn manifest(&self, id: &str) -> Option<Manifest> {
        let content = fs::read(self.directory(id).ok()?.join(MANIFEST)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&content).ok()?;
        // What lies in a folder names that folder and files in it, or is not ours.
        let plain = manifest.model.files.iter().all(|file| is_plain(&file.name));
        (manifest.model.id == id && plain).then_some(manifest)
    }

    pub(crate) fn keep_manifest(&self, manifest: &Manifest) -> Result<(), ModelsError> {
        let path = self.directory(&manifest.model.id)?.join(MANIFEST);
        let content = serde_json::to_vec_pretty(manifest).map_err(io::Error::from);
        content
            .and_then(|content| write_whole(&path, &content))
            .map_err(|source| io_error(&path, source))
    }

    /// Notes that a library may use what is here. Nothing is noted where nothing is here.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn note_library(&self, directory: &Path) -> Result<(), ModelsError> {
        let content = directory.as_os_str().as_encoded_bytes();
        let name = hexadecimal(Sha256::new_with_prefix(content));
        let (folder, root) = (self.root.join(LIBRARIES), &self.root);
        let (place, Some(text)) = (folder.join(&name[..16]), directory.to_str()) else {
            return Ok(());
        };
        if place.exists() || !root.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&folder)
            .and_then(|()| write_whole(&place, text.as_bytes()))
            .map_err(|source| io_error(&place, source))
    }

    /// The libraries that may use what is here, as far as they still exist.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let notes = fs::read_dir(self.root.join(LIBRARIES)).into_iter().flatten().flatten();
        let mut libraries: Vec<PathBuf> = notes
            .filter_map(|note| fs::read_to_string(note.path()).ok())
            .map(PathBuf::from)
            .filter(|library| library.is_dir())
            .collect();
        libraries.sort();
        libraries
    }

    /// How many bytes removing a model would free: nothing where another program's file takes
    /// the place. What is here of a download counts.
    pub fn frees(&self, id: &str) -> Result<u64, ModelsError> {
        let linked = self.manifest(id).filter(|manifest| manifest.linked);
        let origin = linked.and_then(|manifest| manifest.origin).filter(|origin| origin.exists());
        let directory = self.directory(id)?;
        let weights =
            |path: &Path| origin.is_some() && path.extension().is_some_and(|e| e == "gguf");
        Ok(bytes_below(&directory, &weights))
    }

    /// Removes a model's files, and returns how many bytes that freed. A file that it is
    /// linked to stays.
    pub fn remove(&self, id: &str) -> Result<u64, ModelsError> {
        self.model(id)?;
        let directory = self.directory(id)?;
        let freed = self.frees(id)?;
        match fs::remove_dir_all(&directory) {
            Ok(()) => Ok(freed),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(source) => Err(io_error(&directory, source)),
        }
    }
}

/// The bytes of what lies under a folder, except those files.
fn bytes_below(directory: &Path, except: &dyn Fn(&Path) -> bool) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path(), except),
            Ok(metadata) if metadata.is_file() && !except(&entry.path()) => metadata.len(),
            _ => 0,
        })
        .sum()
}

fn root_from(variable: Option<OsString>, cache: Option<PathBuf>) -> Result<PathBuf, ModelsError> {
    match variable {
        Some(root) if !root.is_empty() => Ok(root.into()),
        _ => Ok(cache.ok_or(ModelsError::NoRoot)?.join("lectern").join("models")),
    }
}

fn check_size(id: &str, path: PathBuf, file: &ModelFile) -> Result<(), ModelsError> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => {
            Err(ModelsError::Missing { id: id.to_owned(), path })
        }
        Ok(metadata) if metadata.len() != file.bytes => {
            Err(ModelsError::WrongSize { path, expected: file.bytes, found: metadata.len() })
        }
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(ModelsError::Missing { id: id.to_owned(), path })
        }
        Err(source) => Err(io_error(&path, source)),
    }
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> ModelsError {
    ModelsError::Io { path: path.to_owned(), source }
}

/// The SHA-256 of a file's content in lower-case hexadecimal.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(digest)),
            read => digest.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    /// A store over a catalogue of its own, so that no test needs a gigabyte.
    struct Fixture {
        folder: tempfile::TempDir,
        store: ModelStore,
    }

    fn tiny(id: &str, default: bool, tests_only: bool) -> Model {
        let file = |name: &str, bytes, sha256: &str| ModelFile {
            name: name.into(),
            sha256: Some(sha256.into()),
            bytes,
            sources: Vec::new(),
        };
        Model {
            id: id.into(),
            role: ModelRole::Chat,
            name: id.into(),
            architecture: "llama".into(),
            quantisation: "Q4_1".into(),
            context_tokens: 8,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            first_token: false,
            cosine_spread: None,
            min_evidence: None,
            languages: vec!["en".into()],
            licence: "Apache-2.0".into(),
            default,
            tests_only,
            bytes: 6,
            shape: None,
            ability: None,
            // The digests of "abc" (FIPS 180-2, appendix B.1) and of "xyz".
            files: vec![
                file(
                    "model.gguf",
                    3,
                    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                ),
                file(
                    "config.json",
                    3,
                    "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282",
                ),
            ],
        }
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let models = vec![
                tiny("little", false, true),
                tiny("other", false, false),
                tiny("usual", true, false),
            ];
            let store = ModelStore::of(folder.path(), Vec::leak(models));
            Self { folder, store }
        }

        fn put(&self, id: &str, files: Files) {
            let directory = self.folder.path().join(id);
            fs::create_dir_all(&directory).unwrap();
            for (name, content) in files {
                fs::write(directory.join(name), content).unwrap();
            }
        }
    }

    /// Names and contents.
    type Files = &'static [(&'static str, &'static str)];

    const WHOLE: Files = &[("model.gguf", "abc"), ("config.json", "xyz")];

    /// The error's kind and the file it names, or `ok`.
    fn outcome(result: Result<(), ModelsError>) -> String {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        match result {
            Ok(()) => "ok".into(),
            Err(ModelsError::Missing { path, .. }) => format!("missing {}", name(&path)),
            Err(ModelsError::WrongSize { path, expected, found }) => {
                format!("{} has {found} of {expected}", name(&path))
            }
            Err(ModelsError::WrongContent { path, .. }) => format!("damaged {}", name(&path)),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn missing_short_and_damaged_files_are_told_apart() {
        let cases: &[(Files, &str, &str)] = &[
            (WHOLE, "ok", "ok"),
            (&[], "missing model.gguf", "missing model.gguf"),
            (&[("model.gguf", "abc")], "missing config.json", "missing config.json"),
            (
                &[("model.gguf", "ab"), ("config.json", "xyz")],
                "model.gguf has 2 of 3",
                "model.gguf has 2 of 3",
            ),
            (
                &[("model.gguf", "abc"), ("config.json", "xyz!")],
                "config.json has 4 of 3",
                "config.json has 4 of 3",
            ),
            (&[("model.gguf", "abc"), ("config.json", "xyy")], "ok", "damaged config.json"),
        ];
        for (files, quick, thorough) in cases {
            let fixture = Fixture::new();
            fixture.put("usual", files);
            assert_eq!(outcome(fixture.store.quick_check("usual")), *quick, "{files:?}");
            assert_eq!(outcome(fixture.store.verify("usual")), *thorough, "{files:?}");
            assert_eq!(fixture.store.find("usual").is_ok(), *quick == "ok", "{files:?}");
        }
    }

    #[test]
    fn a_folder_in_a_files_place_is_no_file() {
        let fixture = Fixture::new();
        fixture.put("usual", &[("config.json", "xyz")]);
        fs::create_dir(fixture.folder.path().join("usual/model.gguf")).unwrap();
        assert_eq!(outcome(fixture.store.quick_check("usual")), "missing model.gguf");
    }

    #[test]
    fn the_missing_model_is_an_error_that_says_what_to_do() {
        let error = Fixture::new().store.find("usual").unwrap_err();
        assert!(error.to_string().starts_with("the model usual is not installed"), "{error}");
        assert!(error.hint().contains("lectern models get"), "{}", error.hint());
        let error = lectern_domain::ModelError::from(error);
        assert_eq!(error.code, lectern_domain::ErrorCode::ModelMissing);
    }

    #[test]
    fn only_whole_models_are_installed() {
        let fixture = Fixture::new();
        assert_eq!(fixture.store.installed(), []);
        fixture.put("usual", WHOLE);
        fixture.put("other", &[("model.gguf", "abc")]);
        fixture.put("a stranger", WHOLE);
        let installed = fixture.store.installed();
        assert_eq!(installed.len(), 1);
        assert_eq!(installed[0].model.id, "usual");
        assert_eq!(fs::read_to_string(installed[0].path("model.gguf")).unwrap(), "abc");
    }

    #[test]
    fn the_default_is_preferred_and_the_test_model_never_is() {
        for (there, preferred) in [
            (&["little", "other", "usual"][..], Some("usual")),
            (&["little", "other"], Some("other")),
            (&["little"], None),
        ] {
            let fixture = Fixture::new();
            there.iter().for_each(|id| fixture.put(id, WHOLE));
            let found = fixture.store.preferred(ModelRole::Chat).map(|i| i.model.id);
            assert_eq!(found.as_deref(), preferred, "{there:?}");
            assert!(fixture.store.preferred(ModelRole::Embedder).is_none());
        }
    }

    #[test]
    fn an_id_never_leads_out_of_the_root() {
        let fixture = Fixture::new();
        for id in ["..", "../usual", "/etc", ""] {
            assert!(
                matches!(fixture.store.directory(id), Err(ModelsError::Unknown { .. })),
                "{id:?}"
            );
        }
        assert_eq!(fixture.store.directory("usual").unwrap(), fixture.folder.path().join("usual"));
    }

    #[test]
    fn the_root_is_the_variable_or_the_cache_folder() {
        let cache = || Some(PathBuf::from("/home/ada/.cache"));
        for (variable, cache, expected) in [
            (Some("/models"), cache(), Some("/models")),
            (Some("/models"), None, Some("/models")),
            (Some(""), cache(), Some("/home/ada/.cache/lectern/models")),
            (None, cache(), Some("/home/ada/.cache/lectern/models")),
            (None, None, None),
        ] {
            let root = root_from(variable.map(OsString::from), cache).ok();
            assert_eq!(root, expected.map(PathBuf::from));
        }
    }
}
