//! The client that presents a key: its address and its country.

use std::{fmt, net::IpAddr};

use crate::json_schema;

/// The countries of ISO 3166-1, `XK` for Kosovo, and `T1`, by which Cloudflare means Tor.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET \
    FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ \
    IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML \
    MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS \
    PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL \
    TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK T1";

/// A country, as Cloudflare names it. `XX`, its word for none that it knows, is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads a code; `None` if it is not that of a country.
    pub fn parse(code: &str) -> Option<Self> {
        let known = COUNTRIES.split(' ').any(|known| known == code);
        <[u8; 2]>::try_from(code.as_bytes()).ok().filter(|_| known).map(Self)
    }
}

impl TryFrom<String> for Country {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::parse(&code).ok_or_else(|| {
            format!(
                "`{}` is no country; write its code of ISO 3166-1 in capitals, or `T1` for Tor",
                code.escape_debug()
            )
        })
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

json_schema!(Country, "Country", { "type": "string", "pattern": "^([A-Z]{2}|T1)$", "examples": ["DE"] });

/// The client that presents a key, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client {
    /// The address. An IPv4-mapped IPv6 address is its IPv4 address.
    pub ip: Option<IpAddr>,
    /// The country of the address.
    pub country: Option<Country>,
}

impl Client {
    /// Returns a client that the platform or a proxy tells of. Texts that cannot be read tell nothing.
    pub fn told(ip: Option<&str>, country: Option<&str>) -> Self {
        let ip = ip.and_then(|ip| ip.trim().parse().ok());
        Self { ip, country: country.and_then(|country| Country::parse(country.trim())) }.canonical()
    }

    /// The same client, with an IPv4-mapped IPv6 address as its IPv4 address.
    #[must_use]
    pub fn canonical(self) -> Self {
        Self { ip: self.ip.map(|ip| ip.to_canonical()), ..self }
    }
}
