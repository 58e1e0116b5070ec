// What somebody draws, as an image of the size that a model reads: brought to the size and the place that the images have
// which it was trained on. Strokes are lists of points [x, y], of a pad whose sides are 1.

import { clamp } from "./view.js";

const ENLARGED = 3; // times at most, so that a dot stays one
const FINE = 224; // a side as it is drawn, before so many pixels become one

// Line widths in pixels of the image, for one of `side`: as thick as a pen was for the images of scikit-learn and of MNIST.
export const penOf = (side) => Math.max(1.1, 0.09 * side);

// As hexadecimal greys, a pixel a digit, row by row: see `as_code` in Python. The drawing fills all of an image of 8 × 8,
// and five sevenths of a larger one, where its centre of mass is in the middle (LeCun et al. 1998).
export function rendered(strokes, side) {
  const points = strokes.flat(), pen = penOf(side), inner = side === 8 ? side : (side * 5) / 7;
  const ends = [0, 1].map((axis) => points.map((point) => point[axis]).reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [1, 0]));
  const size = ends.map(([low, high]) => high - low), scale = Math.min(Math.max(0, inner - pen) / Math.max(...size, 1e-6), ENLARGED * inner);
  const middle = ends.map(([low, high]) => side / 2 - (scale * (low + high)) / 2);
  const greys = painted(strokes, side, scale, middle), mass = greys.reduce((sum, grey) => sum + grey, 0);
  const shift = [0, 1].map((axis) => {
    const centre = greys.reduce((sum, grey, k) => sum + grey * ((axis ? Math.floor(k / side) : k % side) + 0.5), 0) / mass;
    const room = Math.max(0, (side - scale * size[axis] - pen) / 2); // to either edge
    return clamp(side / 2 - centre, -room, room);
  });
  const moved = painted(strokes, side, scale, middle.map((at, axis) => at + shift[axis]));
  return [...moved].map((grey) => Math.round(grey * 15).toString(16)).join("");
}

let fine; // a canvas

// Each pixel the mean of many small ones, from 0 to 1.
function painted(strokes, side, scale, [left, top]) {
  const times = Math.max(2, Math.round(FINE / side)), wide = side * times;
  fine ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  Object.assign(fine.canvas, { width: wide, height: wide }); // which also clears it
  trace(fine, strokes, ([x, y]) => [(left + scale * x) * times, (top + scale * y) * times], penOf(side) * times);
  const { data } = fine.getImageData(0, 0, wide, wide), greys = new Float64Array(side * side);
  for (let k = 0; k < wide * wide; k++)
    greys[Math.floor(Math.floor(k / wide) / times) * side + Math.floor((k % wide) / times)] += data[4 * k + 3];
  return greys.map((sum) => sum / (255 * times * times));
}

// Strokes on a canvas, each point where `place` says.
export function trace(paint, strokes, place, width) {
  Object.assign(paint, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    const [x, y] = place(stroke[0]);
    paint.beginPath();
    paint.moveTo(x, y);
    paint.lineTo(x + 0.1, y); // so that a dot is seen
    for (const point of stroke) paint.lineTo(...place(point));
    paint.stroke();
  }
}
