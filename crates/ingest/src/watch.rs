//! Changes on the disk, as they happen.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, WatcherKind};
use tokio::{sync::mpsc, time::Instant};

/// Programs write a file in several steps; looking after a moment of silence
/// sees the last one.
const QUIET: Duration = Duration::from_millis(100);

/// There may never be silence.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// After so many paths a look at everything is cheaper.
const MANY: usize = 1_000;

/// What has changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// These paths: changed, new or gone.
    Paths(BTreeSet<PathBuf>),
    /// Too much to look at one by one.
    Everything,
    /// Events were lost: nothing that is known of the disk is certain any more.
    Lost,
}

/// Watches a changing set of folders.
pub(crate) struct FolderWatch {
    watches: Arc<Mutex<Watches>>,
    events: mpsc::UnboundedReceiver<notify::Result<notify::Event>>,
    collected: Collected,
}

impl FolderWatch {
    /// Watches nothing yet.
    pub(crate) fn new() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            // The receiver is gone only while the program ends.
            let _ = sender.send(event);
        })
        .map_err(|error| tracing::warn!("changes on the disk cannot be watched: {error}"))
        .ok();
        let watches = Watches {
            watcher,
            // Linux watches folder by folder. Doing it here leaves out what does not belong
            // to the library, and each folder is watched before it is listed, so that
            // nothing falls between.
            one_by_one: RecommendedWatcher::kind() == WatcherKind::Inotify,
            watched: BTreeMap::new(),
            unwatched: BTreeSet::new(),
        };
        let watches = Arc::new(Mutex::new(watches));
        Self { watches, events, collected: Collected::default() }
    }

    /// Watches nothing outside these places from now on. A file is watched through its
    /// folder, because editors replace files instead of writing into them. Folders inside
    /// of places may have to be watched by [`FolderWatch::visitor`].
    pub(crate) fn set<'a>(&mut self, places: impl Iterator<Item = &'a Path>) {
        let mut watches = locked(&self.watches);
        let mut wanted: HashMap<PathBuf, RecursiveMode> = HashMap::new();
        for place in places {
            let (place, mode) = match place.parent() {
                Some(parent) if place.is_file() => (parent, RecursiveMode::NonRecursive),
                _ => (place, RecursiveMode::Recursive),
            };
            let known = wanted.entry(place.to_owned()).or_insert(mode);
            if mode == RecursiveMode::Recursive {
                *known = mode;
            }
        }
        let is_wanted = |path: &Path, one_by_one: bool| {
            if one_by_one {
                let inside = |place: &Path| wanted.get(place) == Some(&RecursiveMode::Recursive);
                return wanted.contains_key(path) || path.ancestors().any(inside);
            }
            wanted.contains_key(path)
        };
        let one_by_one = watches.one_by_one;
        let old: Vec<PathBuf> =
            watches.watched.keys().filter(|path| !is_wanted(path, one_by_one)).cloned().collect();
        for path in old {
            watches.unwatch(&path);
        }
        watches.unwatched.retain(|path| is_wanted(path, true));
        for (place, mode) in &wanted {
            match mode {
                RecursiveMode::Recursive if one_by_one => {}
                mode => watches.watch(place, *mode),
            }
        }
    }

    /// To be called with every folder before it is listed.
    pub(crate) fn visitor(&self) -> impl FnMut(&Path) + Send + use<> {
        let watches = self.watches.clone();
        move |folder| {
            let mut watches = locked(&watches);
            if watches.one_by_one {
                watches.watch(folder, RecursiveMode::NonRecursive);
            }
        }
    }

    /// Whether changes at or below `place` may go unnoticed.
    pub(crate) fn misses_some_of(&self, place: &Path) -> bool {
        let watches = locked(&self.watches);
        watches.watcher.is_none()
            || watches
                .unwatched
                .range(place.to_owned()..)
                .next()
                .is_some_and(|path| path.starts_with(place))
    }

    /// Has what is at and below `place` be watched anew: another folder may have taken its
    /// place, and a watch stays with the folder that it was set on.
    pub(crate) fn forget(&mut self, place: &Path) {
        let mut watches = locked(&self.watches);
        let below: Vec<PathBuf> = watches
            .watched
            .range(place.to_owned()..)
            .map(|(path, _)| path.clone())
            .take_while(|path| path.starts_with(place))
            .collect();
        for path in below {
            watches.unwatch(&path);
        }
        watches.unwatched.retain(|path| !path.starts_with(place));
    }

    /// Waits for changes and returns them after a moment of silence. Nothing is
    /// lost when it is dropped before.
    #[cfg(test)]
    async fn changes(&mut self) -> Changes {
        self.stirred().await;
        self.collected.take()
    }

    /// Waits for changes and a moment of silence after them.
    pub(crate) async fn stirred(&mut self) {
        while !self.has_changes() {
            let next = match self.collected.ripe_at() {
                None => Ok(self.events.recv().await),
                Some(ripe) => tokio::time::timeout_at(ripe, self.events.recv()).await,
            };
            match next {
                Ok(Some(event)) => self.collected.add(event),
                // Without a watcher there are no events, ever.
                Ok(None) => std::future::pending().await,
                Err(_) => {}
            }
        }
    }

    /// Whether changes have come already, and a moment of silence after them.
    pub(crate) fn has_changes(&mut self) -> bool {
        while let Ok(event) = self.events.try_recv() {
            self.collected.add(event);
        }
        self.collected.ripe_at().is_some_and(|ripe| ripe <= Instant::now())
    }

    /// The changes that have come already, without waiting.
    pub(crate) fn pending(&mut self) -> Option<Changes> {
        self.has_changes().then(|| self.collected.take())
    }
}

struct Watches {
    watcher: Option<RecommendedWatcher>,
    one_by_one: bool,
    watched: BTreeMap<PathBuf, RecursiveMode>,
    /// Folders that the system does not watch for us.
    unwatched: BTreeSet<PathBuf>,
}

impl Watches {
    fn watch(&mut self, path: &Path, mode: RecursiveMode) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.get(path) == Some(&mode) {
            return;
        }
        match watcher.watch(path, mode) {
            Ok(()) => {
                self.watched.insert(path.to_owned(), mode);
                self.unwatched.remove(path);
            }
            // Gone again, or not for us to read; its own folder tells when that changes.
            Err(error) if is_no_limit(&error) => {}
            Err(error) => {
                tracing::debug!("{} cannot be watched: {error}", path.display());
                self.unwatched.insert(path.to_owned());
            }
        }
    }

    fn unwatch(&mut self, path: &Path) {
        // The system does so by itself for a folder that is gone.
        if let (Some(watcher), Some(_)) = (&mut self.watcher, self.watched.remove(path))
            && let Err(error) = watcher.unwatch(path)
        {
            tracing::debug!("{}: {error}", path.display());
        }
    }
}

fn is_no_limit(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
        ),
        _ => false,
    }
}

fn locked(watches: &Mutex<Watches>) -> MutexGuard<'_, Watches> {
    watches.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has changed and was not yet looked at.
#[derive(Default)]
struct Collected {
    paths: BTreeSet<PathBuf>,
    lost: bool,
    /// When the first and the last of it came.
    times: Option<(Instant, Instant)>,
}

impl Collected {
    fn add(&mut self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.lost = true,
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(event) => self.paths.extend(event.paths),
            Err(error) => {
                tracing::warn!("changes on the disk may have been missed: {error}");
                self.lost = true;
            }
        }
        let now = Instant::now();
        self.times = Some((self.times.map_or(now, |(first, _)| first), now));
    }

    /// When it is to be looked at, if there is anything.
    fn ripe_at(&self) -> Option<Instant> {
        let (first, last) = self.times?;
        if self.paths.len() > MANY {
            return Some(last);
        }
        Some((last + QUIET).min(first + LONGEST_WAIT))
    }

    fn take(&mut self) -> Changes {
        let Self { paths, lost, .. } = std::mem::take(self);
        match (lost, paths.len()) {
            (true, _) => Changes::Lost,
            (false, MANY..) => Changes::Everything,
            (false, _) => Changes::Paths(paths),
        }
    }
}

/// Whether `folder` lies on another computer, or somewhere else that others reach by another
/// way: the system does not tell of what they change.
#[cfg(target_os = "linux")]
pub(crate) fn is_remote(folder: &Path) -> bool {
    // From statfs(2) and the kernel's magic.h.
    const REMOTE: [u32; 12] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB 2
        0x5346_414f, // OpenAFS
        0x6b41_4653, // AFS
        0x7375_7245, // Coda
        0x00c3_6400, // Ceph
        0x0102_1997, // 9P: virtual machines, WSL
        0x6573_5546, // FUSE: sshfs and the like
        0x786f_4256, // VirtualBox
        0xbacb_acbc, // VMware
    ];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    rustix::fs::statfs(folder).is_ok_and(|found| REMOTE.contains(&(found.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_remote(_: &Path) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_new_changed_and_removed_files_of_the_watched_places_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let (inside, outside) = (root.join("in"), root.join("out"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        let mut watch = FolderWatch::new();
        watch.set([inside.as_path()].into_iter());
        watch.visitor()(&inside);
        std::fs::write(outside.join("x.md"), "x").unwrap();
        let file = inside.join("a.md");
        let steps: [&dyn Fn(); 3] = [
            &|| std::fs::write(&file, "1").unwrap(),
            &|| std::fs::write(&file, "2").unwrap(),
            &|| std::fs::remove_file(&file).unwrap(),
        ];
        for step in steps {
            step();
            assert_eq!(watch.changes().await, Changes::Paths(BTreeSet::from([file.clone()])));
        }
        watch.set([].into_iter());
        std::fs::write(&file, "3").unwrap();
        assert_eq!(watch.pending(), None);
    }
}
