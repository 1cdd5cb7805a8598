// Owns: strftime in the C locale. Source: The Python Standard Library, "strftime() and strptime() Format Codes"; ISO 8601
// for weeks; Sakamoto's formula for the day of the week.
#include <array>
#include <string>

#include "text/jinja/format.h"
#include "text/jinja/strings.h"

namespace strata::text::jinja {

namespace {

constexpr std::array<std::string_view, 7> days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                  "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months = {"January",   "February", "March",    "April",
                                                     "May",       "June",     "July",     "August",
                                                     "September", "October",  "November", "December"};

bool leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/// 0 is Sunday.
int weekday(int year, int month, int day) {
  constexpr std::array<int, 12> shift = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
  if (month < 3) --year;
  return (year + year / 4 - year / 100 + year / 400 + shift[static_cast<std::size_t>(month - 1)] + day) % 7;
}

/// 1 is the first of January.
int day_of_year(const Time& t) {
  constexpr std::array<int, 12> before = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  return before[static_cast<std::size_t>(t.month - 1)] + t.day + (t.month > 2 && leap(t.year) ? 1 : 0);
}

struct IsoWeek {
  int year, week;
};

IsoWeek iso_week(const Time& t) {
  const int monday_based = (weekday(t.year, t.month, t.day) + 6) % 7;
  const int week = (day_of_year(t) - 1 - monday_based + 10) / 7;
  // A year has 53 weeks when it ends on a Thursday, or on a Friday that a leap day pushed there.
  const auto weeks = [](int year) {
    const int last = weekday(year, 12, 31);
    return last == 4 || (last == 5 && leap(year)) ? 53 : 52;
  };
  if (week < 1) return {t.year - 1, weeks(t.year - 1)};
  if (week > weeks(t.year)) return {t.year + 1, 1};
  return {t.year, week};
}

std::string padded(int value, std::size_t width, char fill = '0') {
  std::string digits = std::to_string(value);
  return digits.size() < width ? std::string(width - digits.size(), fill) + digits : digits;
}

/// What one directive stands for; `bare` leaves out leading zeros, as "%-d". Nothing for a directive that does not exist.
std::optional<std::string> directive(const Time& t, char code, bool bare) {
  const auto number = [bare](int value, std::size_t width, char fill = '0') {
    return padded(value, bare ? 1 : width, fill);
  };
  const auto both = [&t](std::string_view codes, char between) {
    std::string out;
    for (char c : codes) out += (out.empty() ? "" : std::string(1, between)) + *directive(t, c, false);
    return out;
  };
  const int day = weekday(t.year, t.month, t.day);
  const int hour = t.hour % 12 == 0 ? 12 : t.hour % 12;
  const std::string month(months[static_cast<std::size_t>(t.month - 1)]);
  const std::string name(days[static_cast<std::size_t>(day)]);
  switch (code) {
    case 'a': return name.substr(0, 3);
    case 'A': return name;
    case 'b':
    case 'h': return month.substr(0, 3);
    case 'B': return month;
    case 'c': return both("abeTY", ' ');
    case 'C': return number(t.year / 100, 2);
    case 'd': return number(t.day, 2);
    case 'D':
    case 'x': return both("mdy", '/');
    case 'e': return number(t.day, 2, ' ');
    case 'f': return "000000";
    case 'F': return both("Ymd", '-');
    case 'g': return number(iso_week(t).year % 100, 2);
    case 'G': return number(iso_week(t).year, 4);
    case 'H': return number(t.hour, 2);
    case 'I': return number(hour, 2);
    case 'j': return number(day_of_year(t), 3);
    case 'k': return number(t.hour, 2, ' ');
    case 'l': return number(hour, 2, ' ');
    case 'm': return number(t.month, 2);
    case 'M': return number(t.minute, 2);
    case 'n': return "\n";
    case 'p': return t.hour < 12 ? "AM" : "PM";
    case 'P': return t.hour < 12 ? "am" : "pm";
    case 'r': return both("IMS", ':') + " " + *directive(t, 'p', false);
    case 'R': return both("HM", ':');
    case 'S': return number(t.second, 2);
    case 't': return "\t";
    case 'T':
    case 'X': return both("HMS", ':');
    case 'u': return number(day == 0 ? 7 : day, 1);
    case 'U': return number((day_of_year(t) + 6 - day) / 7, 2);
    case 'V': return number(iso_week(t).week, 2);
    case 'w': return number(day, 1);
    case 'W': return number((day_of_year(t) + 6 - (day + 6) % 7) / 7, 2);
    case 'y': return number(t.year % 100, 2);
    case 'Y': return number(t.year, 4);
    case 'z':
    case 'Z': return "";  // a local time without a zone
    case '%': return "%";
    default: return std::nullopt;
  }
}

}  // namespace

Value format_time(Machine& machine, const Time& time, const String& pattern) {
  TextBuilder out(machine);
  const std::string_view text = pattern.bytes;
  for (std::size_t at = 0; at < text.size() && !machine.failed();) {
    const std::size_t percent = std::min(text.find('%', at), text.size());
    out.append(pattern, at, percent);
    at = percent;
    if (at == text.size()) break;
    const bool bare = at + 1 < text.size() && text[at + 1] == '-';
    at += bare ? 2 : 1;
    auto written = at < text.size() ? directive(time, text[at], bare) : std::nullopt;
    if (!written) return machine.fail("strftime_now: '%", text.substr(at, 1), "' is no directive of strftime");
    out.append(*written, false);
    ++at;
  }
  return out.finish();
}

}  // namespace strata::text::jinja
