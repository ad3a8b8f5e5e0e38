//! A Durable Object as the [`FeedHolder`] port: one for each region, which its first isolate creates near to it.

use bitting_keys::{
    domain::{feed::HeldNews, id::Seq},
    ports::{FeedHolder, LocalFuture},
};
use worker::Env;

/// The binding of the class in `wrangler.toml`.
const BINDING: &str = "FEED_HOLDER";

/// The holder of a region.
pub(crate) struct RegionalHolder {
    env: Env,
    region: &'static str,
}

impl RegionalHolder {
    /// Finds the holder of a region; `None` if the deployment has none.
    pub(crate) fn find(env: &Env, region: &'static str) -> Option<Self> {
        env.durable_object(BINDING).is_ok().then(|| Self { env: env.clone(), region })
    }

    async fn ask(&self, since: Seq) -> worker::Result<String> {
        let namespace = self.env.durable_object(BINDING)?;
        let stub = namespace.get_by_name_with_location_hint(self.region, self.region)?;
        let mut response = stub.fetch_with_str(&format!("https://holder/?since={}", since.0)).await?;
        response.text().await
    }
}

impl FeedHolder for RegionalHolder {
    fn news(&self, since: Seq) -> LocalFuture<'_, Result<HeldNews, String>> {
        Box::pin(async move {
            let text = self.ask(since).await.map_err(|error| error.to_string())?;
            // A holder that cannot answer says why in words.
            serde_json::from_str(&text).map_err(|_| text)
        })
    }
}
