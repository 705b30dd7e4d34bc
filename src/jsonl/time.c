/*
 * Times as text: RFC 3339 in the proleptic Gregorian calendar, by arithmetic on days. The C
 * library's time functions are kept out: they know time zones, locales and their own ranges.
 */
#include <stele/jsonl.h>

#include "base/failure.h"

#define TIME_SECOND     INT64_C(1000000) /* microseconds */
#define TIME_DAY        (86400 * TIME_SECOND)
#define TIME_CYCLE_DAYS 146097 /* of 400 years, after which the calendar repeats itself */
#define TIME_EPOCH_DAYS 719528 /* since the first day of the year 0 */

/* Days of a common year before each month, and before the next year. */
static const int days_before_month[13] = { 0,   31,  59,  90,  120, 151, 181,
                                           212, 243, 273, 304, 334, 365 };

/* A date and a time of day, as a clock in its time zone shows them. */
typedef struct clock_reading {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* From 1 */
    int hour;
    int minute;
    int second;
    int microsecond;
    int offset_minutes; /* Of the zone, east of UTC. */
} clock_reading;

static bool is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from the start of the year 0, a leap year, to the start of `year`, which is not before. */
static int64_t days_before_year(int64_t year)
{
    return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

/* Days of `year` before `month`; month 13 is the next January. */
static int days_before(int64_t year, int month)
{
    return days_before_month[month - 1] + (month > 2 && is_leap_year(year) ? 1 : 0);
}

/* --- Writing --- */

/* Find the date of a day, counted from the start of the year 0. */
static void find_date(int64_t day, clock_reading *reading)
{
    int64_t cycle = day / TIME_CYCLE_DAYS;
    int64_t rest = day % TIME_CYCLE_DAYS;
    if (rest < 0) {
        rest += TIME_CYCLE_DAYS;
        cycle--;
    }

    int64_t year = rest / 366; /* Never too late, and hardly too early. */
    while (days_before_year(year + 1) <= rest)
        year++;
    int day_of_year = (int)(rest - days_before_year(year));

    int month = 1;
    while (days_before(year, month + 1) <= day_of_year)
        month++;
    reading->year = cycle * 400 + year;
    reading->month = month;
    reading->day = day_of_year - days_before(year, month) + 1;
}

/* Write `value` in exactly `count` digits, after `before` unless that is 0. */
static char *put_time_digits(char *at, char before, int64_t value, int count)
{
    if (before != '\0')
        *at++ = before;
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

void stele_time_format(int64_t time, char text_out[STELE_TIME_SIZE])
{
    if (text_out == NULL)
        return;
    int64_t day = time / TIME_DAY;
    int64_t rest = time % TIME_DAY;
    if (rest < 0) {
        rest += TIME_DAY;
        day--;
    }
    clock_reading reading = { 0 };
    find_date(day + TIME_EPOCH_DAYS, &reading);
    int64_t seconds = rest / TIME_SECOND;
    int64_t fraction = rest % TIME_SECOND;

    char *at = text_out;
    if (reading.year >= 0 && reading.year <= 9999)
        at = put_time_digits(at, '\0', reading.year, 4);
    else
        at = put_time_digits(at, reading.year < 0 ? '-' : '+',
                             reading.year < 0 ? -reading.year : reading.year, 6);
    at = put_time_digits(at, '-', reading.month, 2);
    at = put_time_digits(at, '-', reading.day, 2);
    at = put_time_digits(at, 'T', seconds / 3600, 2);
    at = put_time_digits(at, ':', seconds / 60 % 60, 2);
    at = put_time_digits(at, ':', seconds % 60, 2);
    if (fraction != 0) {
        at = put_time_digits(at, '.', fraction, 6);
        while (at[-1] == '0')
            at--;
    }
    *at++ = 'Z';
    *at = '\0';
}

/* --- Reading --- */

/* What is left of the text. */
typedef struct time_text {
    const char *at;
    const char *end;
} time_text;

static bool next_is_time_digit(const time_text *text)
{
    return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

/* Take one byte if it is `byte`, or its lower case `other`. */
static bool take_time_byte(time_text *text, char byte, char other)
{
    if (text->at == text->end || (*text->at != byte && *text->at != other))
        return false;
    text->at++;
    return true;
}

/* Take exactly `count` digits. */
static bool take_time_digits(time_text *text, int count, int *value_out)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!next_is_time_digit(text))
            return false;
        value = value * 10 + (*text->at++ - '0');
    }
    *value_out = value;
    return true;
}

static bool take_time_date(time_text *text, clock_reading *reading)
{
    int year = 0;
    bool taken = take_time_digits(text, 4, &year) && take_time_byte(text, '-', '-')
                 && take_time_digits(text, 2, &reading->month) && take_time_byte(text, '-', '-')
                 && take_time_digits(text, 2, &reading->day) && take_time_byte(text, 'T', 't');
    reading->year = year;
    return taken;
}

/* Take the time of day but for its fraction. */
static bool take_clock(time_text *text, clock_reading *reading)
{
    return take_time_digits(text, 2, &reading->hour) && take_time_byte(text, ':', ':')
           && take_time_digits(text, 2, &reading->minute) && take_time_byte(text, ':', ':')
           && take_time_digits(text, 2, &reading->second);
}

/* Take a fraction if there is one; `*is_too_fine` tells of digits that a microsecond can't hold. */
static bool take_time_fraction(time_text *text, int *microsecond_out, bool *is_too_fine)
{
    *microsecond_out = 0;
    *is_too_fine = false;
    if (!take_time_byte(text, '.', '.'))
        return true;
    if (!next_is_time_digit(text))
        return false;

    int unit = 100000;
    for (; next_is_time_digit(text); text->at++) {
        int digit = *text->at - '0';
        *microsecond_out += unit * digit;
        *is_too_fine = *is_too_fine || (unit == 0 && digit != 0);
        unit /= 10;
    }
    return true;
}

static bool take_time_offset(time_text *text, int *hours_out, int *minutes_out, int *sign_out)
{
    *hours_out = 0;
    *minutes_out = 0;
    *sign_out = 1;
    if (take_time_byte(text, 'Z', 'z'))
        return true;
    if (take_time_byte(text, '-', '-'))
        *sign_out = -1;
    else if (!take_time_byte(text, '+', '+'))
        return false;
    return take_time_digits(text, 2, hours_out) && take_time_byte(text, ':', ':')
           && take_time_digits(text, 2, minutes_out);
}

/* Returns why `reading` is none of the calendar or the clock; NULL when it is. */
static const char *judge_reading(const clock_reading *reading)
{
    if (reading->month < 1 || reading->month > 12)
        return "there is no such month";
    int month_size =
        days_before(reading->year, reading->month + 1) - days_before(reading->year, reading->month);
    if (reading->day < 1 || reading->day > month_size)
        return "there is no such day";
    if (reading->hour > 23)
        return "there is no such hour";
    if (reading->minute > 59)
        return "there is no such minute";
    if (reading->second == 60)
        return "leap seconds can't be kept";
    if (reading->second > 59)
        return "there is no such second";
    return NULL;
}

/* Returns why `text` is refused; NULL when it was read. */
static const char *read_time(time_text text, clock_reading *reading)
{
    bool is_too_fine = false;
    int hours = 0;
    int minutes = 0;
    int sign = 1;
    if (!take_time_date(&text, reading) || !take_clock(&text, reading)
        || !take_time_fraction(&text, &reading->microsecond, &is_too_fine)
        || !take_time_offset(&text, &hours, &minutes, &sign) || text.at != text.end)
        return "it doesn't have the form 2006-01-02T15:04:05.999999Z";

    const char *reason = judge_reading(reading);
    if (reason != NULL)
        return reason;
    if (is_too_fine)
        return "it is finer than a microsecond";
    if (hours > 23 || minutes > 59)
        return "there is no such offset";
    reading->offset_minutes = sign * (hours * 60 + minutes);
    return NULL;
}

static int64_t reading_to_time(const clock_reading *reading)
{
    int64_t day = days_before_year(reading->year) + days_before(reading->year, reading->month)
                  + reading->day - 1 - TIME_EPOCH_DAYS;
    int64_t minute = (day * 24 + reading->hour) * 60 + reading->minute - reading->offset_minutes;
    return (minute * 60 + reading->second) * TIME_SECOND + reading->microsecond;
}

stele_status stele_time_parse(const char *text, size_t size, int64_t *time_out)
{
    if (text == NULL || time_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_time_parse: a NULL argument");

    clock_reading reading = { 0 };
    const char *reason = read_time((time_text){ text, text + size }, &reading);
    int64_t time = reason == NULL ? reading_to_time(&reading) : 0;
    int64_t first = -TIME_EPOCH_DAYS * TIME_DAY;
    int64_t beyond = (days_before_year(10000) - TIME_EPOCH_DAYS) * TIME_DAY;
    if (reason == NULL && (time < first || time >= beyond))
        reason = "it is outside the years 0000 to 9999 of UTC";
    if (reason != NULL)
        return stele__fail(STELE_INVALID, "'%.*s' is not a time: %s",
                           (int)(size < STELE_TIME_SIZE ? size : STELE_TIME_SIZE), text, reason);
    *time_out = time;
    return STELE_OK;
}
