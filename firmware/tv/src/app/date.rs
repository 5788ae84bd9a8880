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
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub year: u64,
    pub month: &'static str,
    pub day: u64,
    pub weekday: &'static str,
    pub hour: u64,
    pub minute: u64,
}

impl Date {
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
