// What the page does to pixels, as `tfssl colorize` does it: no browser objects, so that it runs (and is tested) anywhere.

// CIE 1976 f(): a cube root above the knee, a line below. Both meet at f = 24/116.
const KNEE = 24 / 116;
const SLOPE = 7.787;
// sRGB <-> XYZ relative to white (D65), rows X, Y, Z; tfssl/ops/color.py has the same numbers.
const Y_FROM_RGB = [0.212671, 0.71516, 0.072169];
const RGB_FROM_XYZ = [
  [3.2404813432 * 0.95047, -1.5371515163, -0.4985363262 * 1.08883],
  [-0.96925495 * 0.95047, 1.8759900015, 0.0415559266 * 1.08883],
  [0.0556466391 * 0.95047, -0.2040413384, 1.0573110696 * 1.08883],
];

// Tables in place of powers. Steps of linear light: an error of at most 0.1 of 255 where the sRGB curve is steepest.
const LEVELS = 1 << 14;
const linear = Float32Array.from({ length: 256 }, (_, i) => {
  const c = i / 255;
  return c > 0.04045 ? ((c + 0.055) / 1.055) ** 2.4 : c / 12.92;
});
const [redY, greenY, blueY] = Y_FROM_RGB.map((share) => linear.map((c) => share * c));
const fOfY = Float32Array.from({ length: (1 << 16) + 1 }, (_, i) => f(i / (1 << 16)));
const srgb = Uint8Array.from({ length: LEVELS }, (_, i) => {
  const c = (i + 0.5) / LEVELS;
  return Math.round(255 * (c > 0.0031308 ? 1.055 * c ** (1 / 2.4) - 0.055 : 12.92 * c));
});

function f(y) {
  return y > KNEE ** 3 ? Math.cbrt(y) : SLOPE * y + 16 / 116;
}

// Width and height at which the network sees an image: its shorter side has `side` pixels, its longer one at most
// `maxAspect` times as many.
export function networkSize(width, height, { side, maxAspect }) {
  const scale = Math.min(side / Math.min(width, height), (maxAspect * side) / Math.max(width, height));
  return [width, height].map((n) => Math.max(1, Math.round(n * scale)));
}

// Scales an image as Pillow does (reducing_gap=2): first by whole factors, averaging; then bicubic with antialiasing.
// Canvases scale differently in each browser. The image comes in strips, since all of its pixels may be too many:
// call add(rgba, rows) from the top to the bottom, then finish() for RGB bytes. Transparent pixels are seen as white.
export class Reduction {
  constructor(width, height, size) {
    this.from = [width, height];
    this.size = size;
    this.factor = [0, 1].map((axis) => Math.max(1, Math.floor(this.from[axis] / size[axis] / 2)));
    this.reduced = [0, 1].map((axis) => Math.ceil(this.from[axis] / this.factor[axis]));
    this.pixels = new Uint8ClampedArray(3 * this.reduced[0] * this.reduced[1]);
    this.sums = new Float64Array(3 * this.reduced[0]);
    this.row = 0;
  }

  add(rgba, rows) {
    const [width, height] = this.from;
    const [across, down] = this.factor;
    for (let y = 0, i = 0; y < rows; y++) {
      for (let left = 0, at = 0; left < width; left += across, at += 3) {
        for (const right = Math.min(left + across, width) * 4 + y * width * 4; i < right; i += 4) {
          const alpha = rgba[i + 3];
          const white = 255 - alpha;
          for (let c = 0; c < 3; c++) this.sums[at + c] += white ? white + (rgba[i + c] * alpha) / 255 : rgba[i + c];
        }
      }
      this.row++;
      if (this.row % down === 0 || this.row === height) this._average();
    }
  }

  _average() {
    const [width, height] = this.from;
    const [across, down] = this.factor;
    const line = Math.ceil(this.row / down) - 1;
    const rows = this.row - line * down;
    for (let x = 0; x < this.reduced[0]; x++) {
      const count = rows * (Math.min((x + 1) * across, width) - x * across);
      for (let c = 0; c < 3; c++) {
        this.pixels[3 * (line * this.reduced[0] + x) + c] = Math.floor(this.sums[3 * x + c] / count + 0.5);
      }
    }
    this.sums.fill(0);
  }

  finish() {
    const [width, height] = this.size;
    const [fromWidth, fromHeight] = this.reduced;
    const columns = bicubic(fromWidth, this.from[0] / this.factor[0], width);
    const rows = bicubic(fromHeight, this.from[1] / this.factor[1], height);
    const wide = new Uint8ClampedArray(3 * width * fromHeight); // rounds, as Pillow does between the two passes
    weigh(this.pixels, wide, columns, fromHeight, 3 * fromWidth, 3, 3 * width, 3);
    const result = new Uint8ClampedArray(3 * width * height);
    weigh(wide, result, rows, width, 3, 3 * width, 3, 3 * width);
    return result;
  }
}

// Weights of each output pixel, [first input pixel, ...weights], for a line of `pixels` of which `length` count.
function bicubic(pixels, length, size) {
  const scale = length / size;
  const stretch = Math.max(scale, 1);
  const kernel = (x) => {
    x = Math.abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  };
  return Array.from({ length: size }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - 2 * stretch + 0.5));
    const last = Math.min(pixels, Math.floor(center + 2 * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (_, k) => kernel((first + k - center + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, ...weights.map((w) => w / sum)];
  });
}

function weigh(from, to, weights, lines, fromLine, fromStep, toLine, toStep) {
  for (let line = 0; line < lines; line++) {
    weights.forEach(([first, ...w], i) => {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < w.length; k++) sum += w[k] * from[line * fromLine + (first + k) * fromStep + c];
        to[line * toLine + i * toStep + c] = sum;
      }
    });
  }
}

// L in [0, 100] of RGB bytes.
export function lightness(rgb) {
  return Float32Array.from({ length: rgb.length / 3 }, (_, i) => {
    return 116 * f(redY[rgb[3 * i]] + greenY[rgb[3 * i + 1]] + blueY[rgb[3 * i + 2]]) - 16;
  });
}

// The network takes squares only. An oblong image is covered by overlapping ones, each at the scale that
// `tfssl colorize` has for the whole; where they overlap, colors fade from one into the next. (Squeezed or padded
// into one square, an image gets colors further from those of the whole: docs/web.md has the numbers.)
export function tiles(width, height, side) {
  const long = Math.max(width, height);
  const count = long <= side ? 1 : Math.ceil((long - side) / (0.75 * side)) + 1;
  return Array.from({ length: count }, (_, i) => {
    const start = count > 1 ? Math.round((i * (long - side)) / (count - 1)) : 0;
    return width > height ? { x: start, y: 0 } : { x: 0, y: start };
  });
}

// A tile of L, beyond the image its last row and column.
export function cut(L, width, height, { x, y }, side) {
  return Float32Array.from({ length: side * side }, (_, i) => {
    const row = Math.min(y + Math.floor(i / side), height - 1);
    return L[row * width + Math.min(x + (i % side), width - 1)];
  });
}

// The ab (a and b in turn) of all tiles as one field of width x height.
export function blend(width, height, side, parts) {
  const field = new Float32Array(2 * width * height);
  const total = new Float32Array(width * height);
  const ramp = (i) => Math.min(i + 0.5, side - i - 0.5);
  for (const { x, y, ab } of parts) {
    for (let row = 0; row < Math.min(side, height - y); row++) {
      for (let column = 0; column < Math.min(side, width - x); column++) {
        const weight = ramp(width > height ? column : row);
        const at = (y + row) * width + x + column;
        total[at] += weight;
        for (const c of [0, 1]) field[2 * at + c] += weight * ab[2 * (row * side + column) + c];
      }
    }
  }
  return field.map((value, i) => value / total[i >> 1]);
}

// Gives pixels their colors, in place: each keeps its own lightness, ab are read bilinearly. `rgba` are rows `top` to
// `top + rows` of an image of width x height; `field` is that of blend(), of the given size.
export function join(rgba, top, rows, width, height, field, size) {
  const [fieldWidth, fieldHeight] = size;
  const position = (i, n, cells) => Math.min(Math.max(((i + 0.5) * cells) / n - 0.5, 0), cells - 1);
  const columns = Float32Array.from({ length: width }, (_, x) => position(x, width, fieldWidth));
  const left = Int32Array.from(columns);
  // What is added to f(Y) to give f(X) and f(Z), along the row of the field that a row of the image falls on.
  const line = new Float32Array(2 * (fieldWidth + 1));
  for (let y = 0; y < rows; y++) {
    const at = position(top + y, height, fieldHeight);
    const low = Math.floor(at);
    const high = Math.min(low + 1, fieldHeight - 1);
    for (let i = 0; i < line.length; i++) {
      const column = Math.min(i >> 1, fieldWidth - 1) * 2 + (i & 1);
      const upper = field[2 * low * fieldWidth + column];
      const value = upper + (at - low) * (field[2 * high * fieldWidth + column] - upper);
      line[i] = i & 1 ? -value / 200 : value / 500;
    }
    for (let x = 0, i = 4 * y * width; x < width; x++, i += 4) {
      const Y = redY[rgba[i]] + greenY[rgba[i + 1]] + blueY[rgba[i + 2]];
      const fy = fOfY[(Y * (1 << 16) + 0.5) | 0];
      const cell = 2 * left[x];
      const weight = columns[x] - left[x];
      const fx = fy + line[cell] + weight * (line[cell + 2] - line[cell]);
      const fz = Math.max(0, fy + line[cell + 1] + weight * (line[cell + 3] - line[cell + 1]));
      const X = fx > KNEE ? fx * fx * fx : (fx - 16 / 116) / SLOPE;
      const Z = fz > KNEE ? fz * fz * fz : (fz - 16 / 116) / SLOPE;
      for (let c = 0; c < 3; c++) {
        const row = RGB_FROM_XYZ[c];
        const level = (LEVELS * (row[0] * X + row[1] * Y + row[2] * Z)) | 0;
        rgba[i + c] = srgb[level < 0 ? 0 : level < LEVELS ? level : LEVELS - 1];
      }
    }
  }
}
