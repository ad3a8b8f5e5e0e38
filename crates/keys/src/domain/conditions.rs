//! The conditions of a key: the clients for which it works, and the times.
//!
//! A condition about something that is not known is not met. Every list is bounded, so that a snapshot stays small.

use std::{borrow::Cow, fmt, net::IpAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    domain::{
        client::{Client, Country},
        time::UnixMillis,
    },
    json_schema,
};

/// The maximum number of ranges in one list.
const MAX_IPS: usize = 50;
/// The maximum number of countries in one list.
const MAX_COUNTRIES: usize = 100;
/// The maximum number of periods.
const MAX_PERIODS: usize = 14;
/// Minutes in a day.
const DAY: i64 = 24 * 60;
/// Minutes in a week.
const WEEK: i64 = 7 * DAY;

/// The conditions of a key. The key works only if all of them are met.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The addresses for which the key works: ranges like `192.0.2.0/24` or `2001:db8::/32`, and single addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Entries<IpRange, MAX_IPS>>,
    /// The addresses for which the key does not work, even if they are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_ips: Option<Entries<IpRange, MAX_IPS>>,
    /// The countries for which the key works: codes of ISO 3166-1 in capitals, and `T1` for Tor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_countries: Option<Entries<Country, MAX_COUNTRIES>>,
    /// The countries for which the key does not work, even if they are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_countries: Option<Entries<Country, MAX_COUNTRIES>>,
    /// The time from which the key works: a date-time with its offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<NotBefore>,
    /// The periods of the week in which the key works, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// One of the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// [`Conditions::allowed_ips`].
    AllowedIps,
    /// [`Conditions::denied_ips`].
    DeniedIps,
    /// [`Conditions::allowed_countries`].
    AllowedCountries,
    /// [`Conditions::denied_countries`].
    DeniedCountries,
    /// [`Conditions::not_before`].
    NotBefore,
    /// [`Conditions::hours`].
    Hours,
}

impl Condition {
    /// The name of its field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowedIps => "allowed_ips",
            Self::DeniedIps => "denied_ips",
            Self::AllowedCountries => "allowed_countries",
            Self::DeniedCountries => "denied_countries",
            Self::NotBefore => "not_before",
            Self::Hours => "hours",
        }
    }
}

impl Conditions {
    /// True if there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// True if one of the conditions is met by a client at an instant. One that is not set always is.
    pub fn meets(&self, condition: Condition, client: Client, at: UnixMillis) -> bool {
        match condition {
            Condition::AllowedIps => is_allowed(self.allowed_ips.as_ref(), client.ip, IpRange::contains),
            Condition::DeniedIps => !is_denied(self.denied_ips.as_ref(), client.ip, IpRange::contains),
            Condition::AllowedCountries => is_allowed(self.allowed_countries.as_ref(), client.country, is_same),
            Condition::DeniedCountries => !is_denied(self.denied_countries.as_ref(), client.country, is_same),
            Condition::NotBefore => self.not_before.is_none_or(|NotBefore(not_before)| at >= not_before),
            Condition::Hours => is_open(self.hours.as_ref(), minute_of_week(at)),
        }
    }

    /// True if whatever meets these conditions also meets `other`. Each allowed range must lie within one of the other's
    /// ranges, so the answer can be false for ranges that only several of the other's cover together.
    pub fn is_within(&self, other: &Self) -> bool {
        let starts = self.not_before >= other.not_before;
        let edges = || [&self.hours, &other.hours].into_iter().flatten().flat_map(Hours::iter).flat_map(Period::edges);
        // Between two edges nothing opens or closes.
        let hours = other.hours.is_none()
            || (self.hours.is_some()
                && edges().all(|edge| !is_open(self.hours.as_ref(), edge) || is_open(other.hours.as_ref(), edge)));
        starts
            && hours
            && is_list_within(
                [entries(self.allowed_ips.as_ref()), entries(self.denied_ips.as_ref())],
                [entries(other.allowed_ips.as_ref()), entries(other.denied_ips.as_ref())],
                |outer, inner| outer.covers(*inner),
            )
            && is_list_within(
                [entries(self.allowed_countries.as_ref()), entries(self.denied_countries.as_ref())],
                [entries(other.allowed_countries.as_ref()), entries(other.denied_countries.as_ref())],
                |one, other| one == other,
            )
    }

    /// About how many bytes of memory the lists take.
    pub fn heap_bytes(&self) -> usize {
        let ips = entries(self.allowed_ips.as_ref()).len() + entries(self.denied_ips.as_ref()).len();
        let countries = entries(self.allowed_countries.as_ref()).len() + entries(self.denied_countries.as_ref()).len();
        let periods = self.hours.as_ref().map_or(0, |hours| hours.0.len());
        ips * size_of::<IpRange>() + countries * size_of::<Country>() + periods * (size_of::<Period>() + 7)
    }
}

fn entries<T, const MAX: usize>(list: Option<&Entries<T, MAX>>) -> &[T] {
    list.map_or(&[], |entries| entries.0.as_slice())
}

fn is_same(one: Country, other: Country) -> bool {
    one == other
}

/// True if a list allows a value. Without a list all are allowed, and with one no value that is not known.
fn is_allowed<T: Copy, V: Copy, const MAX: usize>(
    list: Option<&Entries<T, MAX>>,
    value: Option<V>,
    contains: fn(T, V) -> bool,
) -> bool {
    let Some(Entries(list)) = list else { return true };
    value.is_some_and(|value| list.iter().any(|entry| contains(*entry, value)))
}

/// True if a list denies a value. Without a list none is denied, and with one every value that is not known.
fn is_denied<T: Copy, V: Copy, const MAX: usize>(
    list: Option<&Entries<T, MAX>>,
    value: Option<V>,
    contains: fn(T, V) -> bool,
) -> bool {
    list.is_some() && (value.is_none() || is_allowed(list, value, contains))
}

/// True if all values that the first two lists, of what is allowed and what is denied, let through are let through by the
/// second two. An entry is either within another, or has nothing in common with it.
fn is_list_within<T>([allowed, denied]: [&[T]; 2], [outer, outside]: [&[T]; 2], covers: fn(&T, &T) -> bool) -> bool {
    let is_denied = |entry: &T| denied.iter().any(|denied| covers(denied, entry));
    let is_covered = |entry: &T| is_denied(entry) || outer.iter().any(|outer| covers(outer, entry));
    // What the others deny is denied here, too, or not allowed.
    let is_outside = |entry: &T| {
        is_denied(entry)
            || (!allowed.is_empty()
                && allowed
                    .iter()
                    .all(|allowed| is_denied(allowed) || !(covers(entry, allowed) || covers(allowed, entry))))
    };
    (outer.is_empty() || (!allowed.is_empty() && allowed.iter().all(is_covered))) && outside.iter().all(is_outside)
}

/// True if a period is open in a minute of the week. Without periods it always is.
fn is_open(hours: Option<&Hours>, minute: i64) -> bool {
    hours.is_none_or(|hours| hours.iter().any(|period| period.is_open(minute)))
}

/// The minutes since Monday at midnight, in UTC. 1970 began on a Thursday.
fn minute_of_week(at: UnixMillis) -> i64 {
    (at.0.div_euclid(60_000) + 3 * DAY).rem_euclid(WEEK)
}

/// A list with 1 to `MAX` entries, each a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Entries<T, MAX> {
    /// Returns the entries; none if the list is empty.
    ///
    /// # Errors
    /// A message if there are too many.
    pub fn new(list: Vec<T>) -> Result<Option<Self>, String> {
        match list.len() {
            0 => Ok(None),
            1.. if list.len() <= MAX => Ok(Some(Self(list))),
            _ => Err(format!("must have at most {MAX} entries")),
        }
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    fn read(texts: Vec<String>) -> Result<Self, String>
    where
        T: TryFrom<String, Error: fmt::Display>,
    {
        let list = texts.into_iter().map(|text| T::try_from(text).map_err(|message| message.to_string()));
        Self::new(list.collect::<Result<_, _>>()?)?.ok_or_else(|| EMPTY.to_owned())
    }
}

// Lists of texts are read and written alike, whatever they stand for, so that there is little code for them.
impl<T: ToString, const MAX: usize> Serialize for Entries<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.iter().map(T::to_string).collect::<Vec<String>>().serialize(serializer)
    }
}

impl<'de, T: TryFrom<String, Error: fmt::Display>, const MAX: usize> Deserialize<'de> for Entries<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        Self::read(texts).map_err(de::Error::custom)
    }
}

/// The message about a list without entries.
const EMPTY: &str = "must not be empty; leave it out or send null for no such condition";

impl<T: JsonSchema, const MAX: usize> JsonSchema for Entries<T, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Entries".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "array", "items": items, "minItems": 1, "maxItems": MAX })
    }
}

/// A range of addresses in CIDR notation, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpRange {
    /// The first address.
    address: IpAddr,
    /// The number of bits that all addresses share.
    prefix: u8,
}

/// The bits of an address, the first one on top, and their number.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl IpRange {
    /// True if an address is in the range. An IPv4-mapped IPv6 address is never in one of IPv6.
    fn contains(self, address: IpAddr) -> bool {
        let (own, length) = bits(self.address);
        let (other, other_length) = bits(address);
        let differing = (own ^ other).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0);
        length == other_length && differing == 0
    }

    /// True if all addresses of another range are in this one.
    fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

/// The number of bits before the addresses of IPv4 in IPv6.
const MAPPED_BITS: u8 = 96;

impl TryFrom<String> for IpRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown = text.escape_debug();
        let must =
            || format!("`{shown}` is no address and no range; write `192.0.2.0/24`, `2001:db8::/32` or an address");
        let (address, prefix) = text.split_once('/').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
        let sent: IpAddr = address.parse().map_err(|_| must())?;
        let (_, length) = bits(sent);
        let prefix = match prefix {
            None => length,
            // `u8::from_str` would also read a sign and leading zeros.
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix: &u8| *prefix <= length && prefix.to_string() == digits)
                .ok_or_else(must)?,
        };
        let address = if prefix >= MAPPED_BITS { sent.to_canonical() } else { sent };
        let prefix = if address == sent { prefix } else { prefix - MAPPED_BITS };
        let (bits, _) = bits(address);
        if bits.checked_shl(prefix.into()).unwrap_or(0) != 0 {
            return Err(format!(
                "`{shown}` is no range: its address has bits beyond the first {prefix}; write the first address of the range"
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix } = self;
        let (_, length) = bits(*address);
        if *prefix == length { write!(f, "{address}") } else { write!(f, "{address}/{prefix}") }
    }
}

json_schema!(IpRange, "IpRange", {
    "type": "string",
    "maxLength": 64,
    "pattern": r"^[0-9a-fA-F.:]+(/[0-9]{1,3})?$",
    "examples": ["192.0.2.0/24"],
});

/// The time from which a key works, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NotBefore(pub UnixMillis);

/// The length of a bare date, which has no offset.
const DATE_LENGTH: usize = 10;

impl TryFrom<String> for NotBefore {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let at = UnixMillis::parse(&text).filter(|_| text.len() > DATE_LENGTH);
        at.map(Self).ok_or("must be an RFC 3339 date-time with its offset, like 2027-01-31T12:00:00Z")
    }
}

impl From<NotBefore> for String {
    fn from(NotBefore(at): NotBefore) -> Self {
        at.to_rfc3339()
    }
}

json_schema!(NotBefore, "NotBefore", { "type": "string", "format": "date-time" });

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// All days in their order.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The name of the day.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    /// The minutes from the beginning of the week to that of the day.
    fn minutes(self) -> i64 {
        self as i64 * DAY
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let day = Self::ALL.into_iter().find(|day| day.as_str() == text);
        day.ok_or_else(|| {
            format!("`{}` is no day; write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`", text.escape_debug())
        })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

json_schema!(Day, "Day", { "type": "string", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] });

/// A time of day in UTC: `09:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = |digits: &str, most: u16| {
            digits.parse().ok().filter(|number: &u16| *number <= most && format!("{number:02}") == digits)
        };
        let time = text.split_once(':').and_then(|(hour, minute)| Some(read(hour, 23)? * 60 + read(minute, 59)?));
        time.map(Self).ok_or("must be a time of day in UTC, like `09:30`")
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

json_schema!(TimeOfDay, "TimeOfDay", {
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "examples": ["09:30"],
});

/// One to 14 periods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Period>")]
pub struct Hours(Vec<Period>);

impl Hours {
    /// The periods.
    pub fn iter(&self) -> impl Iterator<Item = &Period> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Period>> for Hours {
    type Error = String;

    fn try_from(periods: Vec<Period>) -> Result<Self, String> {
        match periods.len() {
            0 => Err(EMPTY.to_owned()),
            1..=MAX_PERIODS => Ok(Self(periods)),
            _ => Err(format!("must have at most {MAX_PERIODS} entries")),
        }
    }
}

impl JsonSchema for Hours {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hours".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<Period>();
        schemars::json_schema!({ "type": "array", "items": items, "minItems": 1, "maxItems": MAX_PERIODS })
    }
}

/// A period that begins on each of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The days on which the period begins.
    pub days: Entries<Day, 7>,
    /// The time of its beginning, in UTC.
    pub from: TimeOfDay,
    /// The time of its end, in UTC: the next such time after `from`, which may be on the next day.
    pub to: TimeOfDay,
}

impl Period {
    /// The length in minutes: a whole day, if it ends at the time of day at which it begins.
    fn length(&self) -> i64 {
        (i64::from(self.to.0) - i64::from(self.from.0) - 1).rem_euclid(DAY) + 1
    }

    fn starts(&self) -> impl Iterator<Item = i64> {
        self.days.iter().map(|day| day.minutes() + i64::from(self.from.0))
    }

    /// The minutes of the week at which it begins or ends.
    fn edges(&self) -> impl Iterator<Item = i64> {
        self.starts().flat_map(|start| [start, (start + self.length()).rem_euclid(WEEK)])
    }

    fn is_open(&self, minute: i64) -> bool {
        self.starts().any(|start| (minute - start).rem_euclid(WEEK) < self.length())
    }
}
