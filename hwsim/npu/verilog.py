"""The array in Verilog: fused elements, weight, input or output stationary, with the waves that feed it.

An element holds sixteen multipliers of 2 x 2 bits (for `pe_bits` = 8 and `brick_bits` = 2), each digit signed where it
is its operand's topmost. Operands enter at the left and the top edge, one row or column a clock behind the one before;
stationary operands are written row by row over a bus a column, behind the wave of the fold that they follow.
"""

#: Bits of an operand of an element: as many lanes as its multipliers form, each as wide as its operand.
OPERAND_BITS = 32

ELEMENT = """\
module element #(parameter ACC = 32) (
  input clk,
  input by_output,                 // sums stay, or the stationary operand does
  input [1:0] w_mode, x_mode,      // width of an operand: 2, 4 or 8 bits
  input [31:0] x_in, input [2:0] go_in,   // go: valid, first step, last step of a fold
  input [31:0] w_in, input w_load,
  input signed [ACC-1:0] sum_in,
  output reg [31:0] x_out, output reg [2:0] go_out,
  output reg [31:0] w_out,
  output signed [ACC-1:0] sum,
  output reg signed [ACC-1:0] sum_out, held
);
  reg [31:0] w_next, w_now;
  wire [31:0] w = by_output ? w_in : go_in[1] ? w_next : w_now;
  wire signed [ACC-1:0] base = !by_output ? sum_in : go_in[1] ? 0 : sum_out;
  reg signed [ACC-1:0] total;
  reg signed [2:0] w_digit, x_digit;
  integer brick, lane, wi, xi, w_digits, x_digits;
  always @* begin
    w_digits = 1 << w_mode;
    x_digits = 1 << x_mode;
    total = 0;
    if (go_in[2])
      for (brick = 0; brick < 16; brick = brick + 1) begin
        lane = brick / (w_digits * x_digits);
        wi = brick % w_digits;
        xi = brick / w_digits % x_digits;
        w_digit = {wi == w_digits - 1 & w[2 * (lane * w_digits + wi) + 1], w[2 * (lane * w_digits + wi) +: 2]};
        x_digit = {xi == x_digits - 1 & x_in[2 * (lane * x_digits + xi) + 1], x_in[2 * (lane * x_digits + xi) +: 2]};
        total = total + (w_digit * x_digit <<< 2 * (wi + xi));
      end
  end
  assign sum = base + total;
  always @(posedge clk) begin
    x_out <= x_in;
    go_out <= go_in;
    w_out <= w_in;
    if (w_load) w_next <= w_in;
    if (go_in[2]) begin
      w_now <= w;
      if (go_in[0]) held <= sum;
    end
    if (go_in[2] || !by_output) sum_out <= sum;
  end
endmodule
"""

#: `period` clocks a fold: `at` is the place in it, waves start at their offsets.
CONTROL = """\
module control (
  input clk, run, by_output, overlap,
  input [15:0] rows, columns, steps, folds,
  output load, stream, drain, first, last,
  output [15:0] load_row, load_fold, step, fold, drain_row
);
  reg [31:0] clock;
  initial clock = 0;
  wire [31:0] busy = steps > rows ? steps : rows;
  wire [31:0] period = overlap ? busy : 2 * rows + columns + steps - 2;
  wire [31:0] stream_from = by_output ? 0 : overlap ? 1 : rows;
  wire [31:0] drain_from = overlap ? steps : steps + rows + columns - 2;
  wire [31:0] streamed = clock - stream_from, drained = clock - drain_from;
  wire streams = clock >= stream_from, drains = clock >= drain_from;
  assign load_fold = clock / period;
  assign load_row = clock % period;
  assign load = run && !by_output && load_row < rows && load_fold < folds;
  assign fold = streamed / period;
  assign step = streamed % period;
  assign stream = run && streams && step < steps && fold < folds;
  assign first = stream && step == 0;
  assign last = stream && step == steps - 1;
  assign drain_row = drained % period;
  assign drain = run && by_output && drains && drain_row < rows && drained / period < folds;
  always @(posedge clk) clock <= run ? clock + 1 : 0;
endmodule
"""

_BENCH = """\
module tb;
  localparam ROWS = {rows}, COLUMNS = {columns}, ACC = {accumulator_bits};
  reg clk = 0, run = 0, by_output, overlap;
  reg [1:0] w_mode, x_mode;
  reg [15:0] rows, columns, steps, folds, row_folds;
  integer x_at, w_at, out_at, case_at, clocks, last_write, wrong, writes, i, j;
  reg [31:0] x_mem [0:{x_words}], w_mem [0:{w_words}];
  reg signed [ACC-1:0] expected [0:{out_words}], result [0:{out_words}];

  wire load, stream, drain, first, last;
  wire [15:0] load_row, load_fold, step, fold, drain_row;
  control controller(.clk(clk), .run(run), .by_output(by_output), .overlap(overlap), .rows(rows), .columns(columns),
    .steps(steps), .folds(folds), .load(load), .stream(stream), .drain(drain), .first(first), .last(last),
    .load_row(load_row), .load_fold(load_fold), .step(step), .fold(fold), .drain_row(drain_row));

  // Waves, one clock later in each further row or column.
  reg [34:0] go [0:ROWS-1], feed [0:COLUMNS-1];   // valid, first, last, fold, step
  reg [32:0] fill [0:COLUMNS-1];                  // valid, fold, row
  reg [16:0] empty [0:COLUMNS-1];                 // valid, row
  wire [34:0] wave = {{stream, first, last, fold, step}};
  wire [32:0] load_wave = {{load, load_fold, load_row}};
  wire [16:0] drain_wave = {{drain, drain_row}};
  always @(posedge clk) begin
    for (i = 1; i < ROWS; i = i + 1) go[i] <= run ? (i == 1 ? wave : go[i-1]) : 0;
    for (j = 1; j < COLUMNS; j = j + 1) begin
      feed[j] <= run ? (j == 1 ? wave : feed[j-1]) : 0;
      fill[j] <= run ? (j == 1 ? load_wave : fill[j-1]) : 0;
      empty[j] <= run ? (j == 1 ? drain_wave : empty[j-1]) : 0;
    end
  end

  wire [31:0] x_wire [0:ROWS-1][0:COLUMNS];
  wire [2:0] go_wire [0:ROWS-1][0:COLUMNS];
  wire [31:0] w_wire [0:ROWS][0:COLUMNS-1];
  wire signed [ACC-1:0] sum_wire [0:ROWS][0:COLUMNS-1], sum [0:ROWS-1][0:COLUMNS-1], held [0:ROWS-1][0:COLUMNS-1];
  genvar a, b;
  generate
    for (a = 0; a < ROWS; a = a + 1) begin : left
      wire [34:0] now = a == 0 ? wave : go[a];
      wire used = a < rows;
      assign go_wire[a][0] = used ? now[34:32] : 3'b0;
      assign x_wire[a][0] = used && now[34] ? x_mem[x_at + (now[31:16] * steps + now[15:0]) * ROWS + a] : 0;
    end
    for (b = 0; b < COLUMNS; b = b + 1) begin : top
      wire [34:0] now = b == 0 ? wave : feed[b];
      wire [32:0] loaded = b == 0 ? load_wave : fill[b];
      assign w_wire[0][b] = now[34] ? w_mem[w_at + (now[31:16] * steps + now[15:0]) * COLUMNS + b] : 0;
      wire [31:0] bus = loaded[32] ? w_mem[w_at + (loaded[31:16] * rows + loaded[15:0]) * COLUMNS + b] : 0;
      assign sum_wire[0][b] = 0;
    end
    for (a = 0; a < ROWS; a = a + 1) begin : row
      for (b = 0; b < COLUMNS; b = b + 1) begin : column
        element #(ACC) pe(.clk(clk), .by_output(by_output), .w_mode(w_mode), .x_mode(x_mode),
          .x_in(x_wire[a][b]), .go_in(b < columns ? go_wire[a][b] : 3'b0),
          .w_in(by_output ? w_wire[a][b] : top[b].bus), .w_load(top[b].loaded[32] && top[b].loaded[15:0] == a),
          .sum_in(sum_wire[a][b]), .x_out(x_wire[a][b+1]), .go_out(go_wire[a][b+1]), .w_out(w_wire[a+1][b]),
          .sum(sum[a][b]), .sum_out(sum_wire[a+1][b]), .held(held[a][b]));
      end
    end
  endgenerate

  // What leaves a column: the sum below its last row in use, or the sums that a fold has left.
  integer out_step [0:COLUMNS-1], out_fold [0:COLUMNS-1], target;
  wire [COLUMNS-1:0] writes_now;
  wire signed [ACC-1:0] leaving [0:COLUMNS-1];
  generate
    for (b = 0; b < COLUMNS; b = b + 1) begin : bottom
      wire [16:0] drained = overlap ? (b == 0 ? drain_wave : empty[b]) : drain_wave;
      assign writes_now[b] = b < columns && (by_output ? drained[16] : go_wire[rows-1][b][2]);
      assign leaving[b] = by_output ? held[drained[15:0]][b] : sum[rows-1][b];
    end
  endgenerate
  always @(posedge clk) if (run) begin
    for (j = 0; j < COLUMNS; j = j + 1) if (writes_now[j]) begin
      // Folds along the rows add to the same sums; of stationary sums each fold has its own.
      target = (by_output ? out_fold[j] * rows : out_fold[j] / row_folds * steps) + out_step[j];
      result[out_at + target * COLUMNS + j] = result[out_at + target * COLUMNS + j] + leaving[j];
      last_write = clocks;
      writes = writes + 1;
      out_step[j] = out_step[j] + 1;
      if (out_step[j] == (by_output ? rows : steps)) begin
        out_step[j] = 0;
        out_fold[j] = out_fold[j] + 1;
      end
    end
    clocks = clocks + 1;
  end

  task shape(input integer output_stationary, overlapping, w_log, x_log, r, c, s, f, rf, xa, wa, oa, words);
    begin
      by_output = output_stationary; overlap = overlapping; w_mode = w_log; x_mode = x_log;
      rows = r; columns = c; steps = s; folds = f; row_folds = rf; x_at = xa; w_at = wa; out_at = oa;
      clocks = 0; last_write = -1; wrong = 0; writes = 0;
      for (j = 0; j < COLUMNS; j = j + 1) begin out_step[j] = 0; out_fold[j] = 0; end
      for (i = 0; i < ROWS; i = i + 1) go[i] = 0;
      for (j = 0; j < COLUMNS; j = j + 1) begin feed[j] = 0; fill[j] = 0; empty[j] = 0; end
      for (i = 0; i < words; i = i + 1) result[oa + i] = 0;
      #1 run = 1;
      while (writes < f * c * (output_stationary ? r : s)) begin #1 clk = 1; #1 clk = 0; end
      run = 0;
      // The waves leave the array before the next shape.
      for (case_at = 0; case_at < 2 * (ROWS + COLUMNS); case_at = case_at + 1) begin #1 clk = 1; #1 clk = 0; end
      for (i = 0; i < words; i = i + 1) if (result[oa + i] !== expected[oa + i]) wrong = wrong + 1;
      $display("SHAPE %0d %0d", last_write + 1, wrong);
    end
  endtask

  initial begin
    $readmemh("x.hex", x_mem);
    $readmemh("w.hex", w_mem);
    $readmemh("expected.hex", expected);
{shapes}
    $finish;
  end
endmodule
"""


def bench(rows: int, columns: int, accumulator_bits: int, shapes: list[str], words: tuple[int, int, int]) -> str:
    """Return the testbench of an array: it runs `shapes` one after the other and prints clocks and wrong sums of each.

    Parameters
    ----------
    rows, columns : int
        Sides of the array.
    accumulator_bits : int
        Width of sums.
    shapes : list of str
        Arguments of the task `shape`.
    words : tuple of int
        Words of the three memories.

    Returns
    -------
    str
        Verilog, with the array in it.
    """
    calls = "\n".join(f"    shape({each});" for each in shapes)
    x_words, w_words, out_words = (max(count - 1, 0) for count in words)
    return _BENCH.format(
        rows=rows,
        columns=columns,
        accumulator_bits=accumulator_bits,
        x_words=x_words,
        w_words=w_words,
        out_words=out_words,
        shapes=calls,
    )
