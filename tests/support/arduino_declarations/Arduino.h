// What the sketches use of Arduino's API, declared as ArduinoCore-API does: for compiling only, there is nothing behind it.
#ifndef ARDUINO_DECLARATIONS_H
#define ARDUINO_DECLARATIONS_H

#include <stddef.h>
#include <stdint.h>

unsigned long millis();
unsigned long micros();
void delay(unsigned long ms);

class String;
class __FlashStringHelper;

class SerialPort {
 public:
  void begin(unsigned long baud);
  explicit operator bool();
  int read();
  size_t print(const __FlashStringHelper *);
  size_t print(const String &);
  size_t print(const char[]);
  size_t print(char);
  size_t print(unsigned char, int = 10);
  size_t print(int, int = 10);
  size_t print(unsigned int, int = 10);
  size_t print(long, int = 10);
  size_t print(unsigned long, int = 10);
  size_t print(long long, int = 10);
  size_t print(unsigned long long, int = 10);
  size_t print(double, int = 2);
  size_t println(const __FlashStringHelper *);
  size_t println(const String &);
  size_t println(const char[]);
  size_t println(char);
  size_t println(unsigned char, int = 10);
  size_t println(int, int = 10);
  size_t println(unsigned int, int = 10);
  size_t println(long, int = 10);
  size_t println(unsigned long, int = 10);
  size_t println(long long, int = 10);
  size_t println(unsigned long long, int = 10);
  size_t println(double, int = 2);
};

extern SerialPort Serial;

#endif
