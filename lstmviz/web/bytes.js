// What stands in a page as text: numbers, and whether it is still what it was saved as.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

// CRC-32 of a text of ASCII, as zlib.crc32 in Python: whatever damages a single stretch of four characters changes it. Not
// crypto.subtle, which a page has only where it came over https, or from the disk.
export function sumOf(text) {
  let sum = 0xffffffff;
  for (let i = 0; i < text.length; i++) sum = TABLE[(sum ^ text.charCodeAt(i)) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

// Base64 as bytes.
export function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
