// A stand-in for an Arduino core on a PC: Serial is standard input and output, and the program ends with its input.
#ifndef STAND_IN_ARDUINO_H
#define STAND_IN_ARDUINO_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <iostream>

inline uint32_t micros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)(now.tv_sec * 1000000LL + now.tv_nsec / 1000);
}

inline uint32_t millis() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)(now.tv_sec * 1000LL + now.tv_nsec / 1000000);
}

inline void delay(uint32_t ms) { usleep(ms * 1000); }

class StandInSerial {
 public:
  void begin(unsigned long) {}
  explicit operator bool() const { return true; }

  int read() {
    if (next_ == filled_ && !fill()) {
      return -1;
    }
    return buffer_[next_++];
  }

  template <class T>
  void print(T value) { std::cout << value; }
  void print(double value, int digits) {
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    print(text);
  }
  template <class T>
  void println(T value) { std::cout << value << "\r\n" << std::flush; }

 private:
  bool fill() {
    pollfd input = {0, POLLIN, 0};
    if (poll(&input, 1, 1) == 0) {
      return false;
    }
    const ssize_t count = ::read(0, buffer_, sizeof buffer_);
    if (count <= 0) {
      exit(0);
    }
    next_ = 0;
    filled_ = (size_t)count;
    return true;
  }

  uint8_t buffer_[4096];
  size_t next_ = 0, filled_ = 0;
};

static StandInSerial Serial;

#endif
