//! The regions in which a platform runs what has to be near to its callers.

/// Returns the region of a client, by the names of Cloudflare's location hints.
pub fn region(continent: Option<&str>, longitude: Option<f64>) -> &'static str {
    let is_west_of = |degrees: f64| longitude.is_some_and(|longitude| longitude < degrees);
    match continent {
        Some("AF") => "afr",
        Some("AS") if is_west_of(60.0) => "me",
        Some("AS") => "apac",
        Some("EU") if is_west_of(15.0) => "weur",
        Some("EU") => "eeur",
        Some("OC") => "oc",
        Some("SA") => "sam",
        Some("NA") if is_west_of(-100.0) => "wnam",
        _ => "enam",
    }
}

#[cfg(test)]
mod tests {
    use super::region;

    #[test]
    fn region_is_the_nearest() {
        for (place, continent, longitude, expected) in [
            ("Sydney", Some("OC"), Some(151.2), "oc"),
            ("Ashburn", Some("NA"), Some(-77.5), "enam"),
            ("San Jose", Some("NA"), Some(-121.9), "wnam"),
            ("Frankfurt", Some("EU"), Some(8.7), "weur"),
            ("Warsaw", Some("EU"), Some(21.0), "eeur"),
            ("Dubai", Some("AS"), Some(55.3), "me"),
            ("Tokyo", Some("AS"), Some(139.7), "apac"),
            ("Johannesburg", Some("AF"), Some(28.0), "afr"),
            ("São Paulo", Some("SA"), Some(-46.6), "sam"),
            ("an unknown place in Europe", Some("EU"), None, "eeur"),
            ("an unknown place", None, None, "enam"),
        ] {
            assert_eq!(region(continent, longitude), expected, "{place}");
        }
    }
}
