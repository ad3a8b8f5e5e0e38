//! How the types that are read by hand describe themselves in the API's document.

/// Gives a type the JSON Schema that says what its reader takes. Stands next to that reader.
#[macro_export]
macro_rules! json_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}
