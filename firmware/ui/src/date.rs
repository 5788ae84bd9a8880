//! The calendar.

const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A point in time taken apart, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Date {
    /// The year, as 2026.
    pub year: u64,
    /// The month's name.
    pub month: &'static str,
    /// The day of the month, from 1.
    pub day: u64,
    /// The weekday's name.
    pub weekday: &'static str,
    /// From 0 to 23.
    pub hour: u64,
    /// From 0 to 59.
    pub minute: u64,
}

impl Date {
    /// The date so many seconds after the beginning of 1970.
    #[must_use]
    pub fn of(seconds: u64) -> Self {
        let days = seconds / 86_400;
        // Civil date from days (Howard Hinnant): eras of 400 years that begin on 1 March.
        let z = days + 719_468;
        let day_of_era = z % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = (from_march + 2) % 12;
        Self {
            year: year_of_era + z / 146_097 * 400 + u64::from(month < 2),
            month: MONTHS[month as usize],
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            weekday: WEEKDAYS[(days % 7) as usize],
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
        }
    }
}
