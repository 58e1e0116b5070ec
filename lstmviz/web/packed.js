// What stands packed in a page: see `packed` in lstmviz/page.py.

export const DAMAGED = "What is in this file is not what was saved in it: it was changed or cut short. Take a fresh copy, or make it " +
  "again with python -m lstmviz live.";

// Base64 as bytes.
export function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// What was packed by gzip, which ends with a sum (CRC-32) of it: an error where it is not what it was.
export async function unpacked(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Numbers of float32 whose first bytes stand together, then their second ones, and so on.
export function numbersOf(bytes) {
  const count = bytes.length / 4, numbers = new Float32Array(count), own = new Uint8Array(numbers.buffer);
  for (let k = 0; k < 4; k++) for (let i = 0; i < count; i++) own[4 * i + k] = bytes[k * count + i];
  return numbers;
}
