// The product of a matrix and a vector in WebAssembly, two numbers at once (SIMD): three times as fast as in JavaScript. It is
// written here as the instructions of one function, a line each, by their names in the standard.

const PAGE = 1 << 16; // bytes of a memory
const WIDEST = 1 << 15; // entries of a vector: [x, h] of the largest configuration
const I32 = 0x7f, F64 = 0x7c, V128 = 0x7b;
const ROW = 0, END = 1, AT = 2, SUMS = [3, 4, 5, 6]; // its arguments, and locals, which begin as 0
const TURN = 2 * SUMS.length; // columns of a turn of its loop

const two = (n) => [(n & 0x7f) | 0x80, n >> 7]; // a number below 8192, as LEB128 of two bytes
const sized = (...parts) => { const bytes = parts.flat(Infinity); return [two(bytes.length), bytes]; };
const named = (name) => [name.length, [...name].map((sign) => sign.charCodeAt(0))];
const get = (local) => [0x20, local], set = (local) => [0x21, local], tee = (local) => [0x22, local];
const simd = (code, ...rest) => [0xfd, two(code), rest];
const [loop, end, br_if] = [[0x03, 0x40], 0x0b, 0x0d], [i32_add, i32_lt_u, f64_add] = [0x6a, 0x49, 0xa0];
const i32_const = (n) => [0x41, two(n)];
const v128_load = (offset) => simd(0x00, 4, two(offset)), v128_load64_zero = (offset) => simd(0x5d, 2, two(offset));
const f64x2_promote_low_f32x4 = simd(0x5f), f64x2_mul = simd(0xf2), f64x2_add = simd(0xf0);
const f64x2_extract_lane = (lane) => simd(0x21, lane);

// A row, float32 from the address ROW on, times a vector, float64 from the address 0 to END.
const DOT = [
  loop,
  SUMS.map((sum, k) => [ // four sums, which need not wait for each other
    get(sum),
    get(ROW), v128_load64_zero(8 * k), f64x2_promote_low_f32x4, // two weights
    get(AT), v128_load(16 * k), f64x2_mul, // and what they are of
    f64x2_add, set(sum),
  ]),
  get(ROW), i32_const(4 * TURN), i32_add, set(ROW),
  get(AT), i32_const(8 * TURN), i32_add, tee(AT),
  get(END), i32_lt_u, br_if, 0, // another turn
  end,
  SUMS.map(get), SUMS.slice(1).map(() => f64x2_add), set(SUMS[0]),
  get(SUMS[0]), f64x2_extract_lane(0), get(SUMS[0]), f64x2_extract_lane(1), f64_add,
  end,
];
const MODULE = [
  [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // the format, and its version
  1, sized(1, [0x60, [2, I32, I32], [1, F64]]), // types: one, of the function
  2, sized(1, named(""), named("memory"), [2, 0, 0]), // imports: a memory, of any size
  3, sized(1, 0), // functions: one of that type
  7, sized(1, named("dot"), [0, 0]), // exports: it
  10, sized(1, sized([2, [1, I32], [SUMS.length, V128]], DOT)), // its locals, and what it does
].flat(Infinity);

let compiled;

// Weights, a Float32Array of finite numbers, moved to where the function finds them, and how a matrix of them is multiplied:
// {weights, times}. In a browser without SIMD, under a policy that forbids WebAssembly, or where there is no room for them, they are
// as they came, and `times` is not there.
export function inMemory(weights) {
  const begin = 8 * (WIDEST + TURN), bytes = begin + 4 * (weights.length + TURN); // a vector; the weights
  try {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
    compiled ??= new WebAssembly.Module(new Uint8Array(MODULE));
    const { dot } = new WebAssembly.Instance(compiled, { "": { memory } }).exports;
    const held = new Float32Array(memory.buffer, begin, weights.length), place = new Float64Array(memory.buffer, 0, WIDEST + TURN);
    held.set(weights);
    const times = ({ values, rows, columns }, vector) => {
      const made = new Float64Array(rows);
      place.set(vector);
      place.fill(0, columns, columns + TURN); // what a last turn takes from behind the row, finite numbers, counts nothing
      for (let row = 0, at = values.byteOffset; row < rows; row++, at += 4 * columns) made[row] = dot(at, 8 * columns);
      return made;
    };
    return { weights: held, times };
  } catch {
    return { weights };
  }
}
