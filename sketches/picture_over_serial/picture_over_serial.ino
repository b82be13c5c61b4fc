// Classifies pictures that arrive over USB serial, for boards without a camera. send_picture.py is the other end.
//
//   PC to board   "QMK1", number of pixel bytes, pixel bytes, CRC-32 of them; numbers are 4 bytes, lowest byte first
//   board to PC   one line of text:
//                   ready 96x96x3                        height, width, channels; every second while nothing arrives
//                   ok class=7 score=0.9961 us=123456
//                   error length: ...  |  error timeout: ...  |  error crc: ...  |  error run: ...
//
// Pixels are received into the network's own input, so no second picture is kept.
#include <digits.h>

static const char FRAME_START[] = "QMK1";     // no letter twice: a partial match can only restart at the first one
static const uint32_t FRAME_SILENCE_MS = 1000;  // a frame is given up when nothing arrives for this long
static const uint32_t READY_MS = 1000;

static int8_t scores[DIGITS_OUTPUT_BYTES];

// Bytes received before the line fell silent. (Stream::readBytes limits the whole read on some cores, not the silence.)
static uint32_t receive(uint8_t *bytes, uint32_t count) {
  uint32_t received = 0;
  uint32_t last = millis();
  while (received < count && millis() - last < FRAME_SILENCE_MS) {
    const int c = Serial.read();
    if (c >= 0) {
      bytes[received++] = (uint8_t)c;
      last = millis();
    }
  }
  return received;
}

static bool receive_number(uint32_t *number) {
  uint8_t b[4];
  if (receive(b, 4) != 4) {
    return false;
  }
  *number = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
  return true;
}

// CRC-32 as in zlib and PNG.
static uint32_t picture_crc(const uint8_t *bytes, uint32_t count) {
  uint32_t crc = 0xFFFFFFFFu;
  for (uint32_t i = 0; i < count; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
    }
  }
  return ~crc;
}

// What follows FRAME_START. Says what is wrong with it.
static bool receive_picture(uint8_t *pixels) {
  uint32_t length, crc;
  if (!receive_number(&length)) {
    Serial.println("error timeout: the frame ended inside its length");
    return false;
  }
  if (length != DIGITS_INPUT_BYTES) {
    uint8_t rest;
    while (receive(&rest, 1) == 1) {
    }
    Serial.print("error length: the frame announces ");
    Serial.print(length);
    Serial.print(" bytes, a picture has ");
    Serial.println(DIGITS_INPUT_BYTES);
    return false;
  }
  const uint32_t received = receive(pixels, DIGITS_INPUT_BYTES);
  if (received != DIGITS_INPUT_BYTES || !receive_number(&crc)) {
    Serial.print("error timeout: the frame ended after ");
    Serial.print(received);
    Serial.print(" of ");
    Serial.print(DIGITS_INPUT_BYTES);
    Serial.println(" pixel bytes");
    return false;
  }
  if (crc != picture_crc(pixels, DIGITS_INPUT_BYTES)) {
    Serial.println("error crc: the picture was damaged on its way");
    return false;
  }
  return true;
}

static void answer() {
  uint8_t *const pixels = (uint8_t *)digits_input();
  if (!receive_picture(pixels)) {
    return;
  }
  const uint32_t start = micros();
  const int status = digits_run(pixels, scores);
  const uint32_t elapsed = micros() - start;
  if (status != DIGITS_OK) {
    Serial.print("error run: digits_run returned ");
    Serial.println(status);
    return;
  }
  const int best = digits_top1(scores);
  Serial.print("ok class=");
  Serial.print(best);
  Serial.print(" score=");
  Serial.print(DIGITS_OUTPUT_SCALE * (scores[best] - DIGITS_OUTPUT_ZERO_POINT), 4);
  Serial.print(" us=");
  Serial.println(elapsed);
}

static void say_ready() {
  Serial.print("ready ");
  Serial.print(DIGITS_INPUT_HEIGHT);
  Serial.print("x");
  Serial.print(DIGITS_INPUT_WIDTH);
  Serial.print("x");
  Serial.println(DIGITS_INPUT_CHANNELS);
}

void setup() {
  Serial.begin(115200);
}

void loop() {
  static uint32_t last_said = 0;
  static uint8_t matched = 0;
  const int c = Serial.read();
  if (c < 0) {
    if (millis() - last_said >= READY_MS) {
      say_ready();
      last_said = millis();
    }
    return;
  }
  if (c != FRAME_START[matched]) {
    matched = 0;
  }
  matched += c == FRAME_START[matched];
  if (matched == sizeof FRAME_START - 1) {
    matched = 0;
    answer();
    last_said = millis();
  }
}
