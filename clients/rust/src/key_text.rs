//! The form of a key's text.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// True if the last six characters of a key are the checksum of all others: their CRC-32 in base 62.
pub(crate) fn is_well_formed(key: &str) -> bool {
    let Some((start, secret)) = key.rsplit_once('_') else { return false };
    let is_of_form = (1..=100).contains(&start.len())
        && start.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && secret.len() == 49
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let Some((signed, end)) = key.split_at_checked(key.len().saturating_sub(6)) else { return false };
    is_of_form && checksum(signed) == end
}

fn checksum(text: &str) -> String {
    let mut crc = !0_u32;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut number = !crc;
    let mut places: Vec<&u8> = Vec::new();
    for _ in 0..6 {
        places.extend(usize::try_from(number % 62).ok().and_then(|place| BASE62.get(place)));
        number /= 62;
    }
    places.into_iter().rev().map(|byte| char::from(*byte)).collect()
}
