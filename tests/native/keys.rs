//! The native surface: `/v1/keys`.

use serde_json::json;

use crate::support::World;

#[test]
fn whole_life_of_a_key() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "ci", &["datasets:read"]);
    assert_eq!(world.get("/v1/keys/self", &key).json["id"], json!(id));
    let verified = world.verify(&owner, &key, &["datasets:read"]);
    assert_eq!(verified["valid"], json!(true), "{verified}");
    let revoked = world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &json!(null));
    assert_eq!(revoked.status, 200, "{}", revoked.json);
    assert_eq!(revoked.json["max_staleness_ms"], json!(5000));
    let refused = world.get("/v1/keys/self", &key);
    assert_eq!((refused.status, refused.code()), (401, "key_revoked"));
    assert_eq!(world.verify(&owner, &key, &[])["code"], json!("key_revoked"));
}
