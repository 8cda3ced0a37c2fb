use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;
use lectern_domain::{ModelError, Source};
use tokio::sync::OnceCell;

type Load<T> = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<T>, ModelError>> + Send + Sync>;

/// Something that is loaded by the first call that needs it. A failure is not
/// kept: the next call tries again.
pub(crate) struct Lazy<T: ?Sized> {
    id: String,
    load: Load<T>,
    cell: OnceCell<Arc<T>>,
}

impl<T: ?Sized> Lazy<T> {
    pub(crate) fn new<F, Fut>(id: String, load: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<T>, ModelError>> + Send + 'static,
    {
        Self { id, load: Box::new(move || Box::pin(load())), cell: OnceCell::new() }
    }
}

#[async_trait]
impl<T: ?Sized + Send + Sync> Source<T> for Lazy<T> {
    fn id(&self) -> String {
        self.id.clone()
    }

    async fn get(&self) -> Result<Arc<T>, ModelError> {
        self.cell.get_or_try_init(|| (self.load)()).await.cloned()
    }
}
