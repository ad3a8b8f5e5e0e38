export const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** True if the last six characters of a key are the checksum of all others. */
export function isWellFormed(key) {
  if (typeof key !== "string" || !/^[a-z0-9_]{1,100}_[0-9A-Za-z]{49}$/i.test(key)) return false;
  return key.endsWith(checksum(key.slice(0, -6)));
}

/** The checksum of a text: its CRC-32 in base 62. */
export function checksum(text) {
  let crc = -1;
  for (const character of text) {
    crc ^= character.charCodeAt(0);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let number = ~crc >>> 0;
  let checksum = "";
  for (let place = 0; place < 6; place += 1) {
    checksum = BASE62[number % 62] + checksum;
    number = Math.floor(number / 62);
  }
  return checksum;
}
