//! Made-up people, the same every time: names of many scripts, more and less frequent ones.

use std::fmt::Write;

use meishi_contacts::{
    Attributes, Contact, ContactId, Email, Identifier, Label, Phone, UnixSeconds,
};

const FIRST: [&str; 24] = [
    "Maria",
    "José",
    "Anna",
    "Stéphanie",
    "Katharina",
    "John",
    "Emma",
    "Luis",
    "Sofía",
    "Paul",
    "Müge",
    "Jürgen",
    "Łukasz",
    "Søren",
    "Chloë",
    "Liam",
    "Olivia",
    "Noah",
    "Zoë",
    "Ana",
    "Peter",
    "Eva",
    "Thomas",
    "Laura",
];
const LAST: [&str; 20] = [
    "Hernández",
    "Müller",
    "Schneider",
    "García",
    "Smith",
    "Nguyễn",
    "Fernández",
    "Kowalski",
    "Jensen",
    "Dubois",
    "Rossi",
    "Silva",
    "Johnson",
    "Brown",
    "Öztürk",
    "Novák",
    "Weber",
    "Martin",
    "López",
    "O'Brien",
];
const SYLLABLES: [&str; 40] = [
    "ba", "be", "bri", "ca", "chi", "co", "da", "del", "do", "el", "fa", "fer", "ga", "gor", "ha",
    "hol", "in", "ja", "ka", "kro", "la", "len", "lo", "ma", "mer", "mi", "na", "nor", "o", "pa",
    "per", "ra", "ri", "ro", "sa", "ste", "ta", "tor", "va", "wil",
];
const HAN_LAST: [char; 20] = [
    '王', '李', '张', '刘', '陈', '杨', '赵', '黄', '周', '吴', '徐', '孙', '胡', '朱', '高', '林',
    '何', '郭', '马', '曹',
];
const HANGUL_LAST: [char; 8] = ['김', '이', '박', '최', '정', '강', '조', '윤'];
const HANGUL: [&str; 24] = [
    "민", "준", "서", "연", "지", "우", "현", "영", "수", "진", "하", "은", "도", "윤", "예", "성",
    "재", "승", "유", "나", "경", "미", "철", "호",
];
const KANA: [&str; 10] = [
    "サクラ",
    "ハルト",
    "ユイ",
    "ケンジ",
    "アオイ",
    "さくら",
    "ひなた",
    "バナナ",
    "タロウ",
    "みゆき",
];
const JAPANESE: [&str; 10] =
    ["佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤"];
const THAI: [&str; 12] = [
    "สมชาย",
    "สมหญิง",
    "ใจดี",
    "วิชัย",
    "มาลี",
    "ประเสริฐ",
    "สุดา",
    "ศรีสุข",
    "ทองดี",
    "แก้วมณี",
    "บุญมา",
    "รัตนา",
];
const ARABIC: [&str; 12] =
    ["محمد", "أحمد", "فاطمة", "علي", "حسن", "مريم", "خالد", "عمر", "ليلى", "يوسف", "نور", "سعيد"];
const CYRILLIC: [&str; 12] = [
    "Иван",
    "Пётр",
    "Анна",
    "Сергей",
    "Ольга",
    "Дмитрий",
    "Иванов",
    "Петров",
    "Сидорова",
    "Кузнецов",
    "Смирнова",
    "Попов",
];
const DOMAINS: [&str; 8] = [
    "gmail.com",
    "example.com",
    "example.org",
    "outlook.example",
    "mail.example.net",
    "qq.example",
    "yahoo.example",
    "company.example",
];
const PREFIXES: [&str; 6] = ["+49151", "+1415", "+86139", "+4479", "+66812", "+7912"];

/// The words that are made of syllables.
pub(crate) struct People {
    first: Vec<String>,
    last: Vec<String>,
    companies: Vec<String>,
    cities: Vec<String>,
}

impl People {
    pub(crate) fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let mut words = |count: usize, end: &str| -> Vec<String> {
            let mut word = |_| {
                let syllables = random.usize(2..5);
                let word: String =
                    (0..syllables).filter_map(|_| random.choice(SYLLABLES)).collect();
                let (first, rest) = word.split_at_checked(1).unwrap_or_default();
                first.to_uppercase() + rest + end
            };
            (0..count).map(&mut word).collect()
        };
        Self {
            first: words(3000, ""),
            last: words(40_000, ""),
            companies: words(30_000, " GmbH"),
            cities: words(300, ""),
        }
    }

    /// The contact of a number.
    pub(crate) fn contact(&self, number: i64) -> Contact {
        let seed = number.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = fastrand::Rng::with_seed(seed);
        let random = &mut random;
        let mut contact = Contact::blank(ContactId(number), UnixSeconds(1_600_000_000 + number));
        let (name, local) = self.name(random);
        contact.name = name;
        if random.u8(..100) < 90 {
            let domain = DOMAINS.get((random.f64() * 7.2) as usize);
            let domain = domain.copied().unwrap_or("firma.example");
            let email = format!("{local}{}@{domain}", random.u32(..100_000));
            contact.email = Some(Email::from_stored(email));
        }
        if random.u8(..100) < 70 {
            let prefix = pick(random, &PREFIXES);
            let phone = format!("{prefix}{:07}", random.u32(..10_000_000));
            contact.phone_number = Some(Phone::from_stored(phone));
        }
        if random.u8(..100) < 80 {
            let identifier = format!("U-{number:08}");
            contact.identifier = Some(Identifier::from_stored(identifier));
        }
        if random.u8(..100) < 95 {
            contact.last_activity_at = Some(UnixSeconds(1_650_000_000 + random.i64(..50_000_000)));
        }
        if random.u8(..100) < 30 {
            contact.labels = vec![Label::from_stored(format!("label {}", random.u8(..20)))];
        }
        let mut members = format!(
            r#"{{"company_name":"{}","city":"{}""#,
            often(random, &self.companies),
            often(random, &self.cities),
        );
        if random.u8(..4) == 0 {
            let _ = write!(members, r#","country":"C{}""#, random.u8(..60));
        }
        members.push('}');
        contact.additional_attributes = Attributes::from_stored(members).unwrap_or_default();
        let mut members = format!(
            r#"{{"plan":"plan {}","seats":{},"since":"20{}-0{}-1{}","beta":{},"region":"R{}""#,
            random.u8(..12),
            random.u16(..500),
            random.u8(10..27),
            random.u8(1..10),
            random.u8(..10),
            random.bool(),
            random.u8(..40),
        );
        if random.u8(..8) == 0 {
            let _ = write!(members, r#","value":{}.{}"#, random.u16(..10_000), random.u8(1..100));
        }
        members.push('}');
        contact.custom_attributes = Attributes::from_stored(members).unwrap_or_default();
        contact
    }

    /// A name, and what an address has of it.
    fn name(&self, random: &mut fastrand::Rng) -> (String, String) {
        let plain = |random: &mut fastrand::Rng| often(random, &self.last).to_lowercase();
        let script = random.u8(..100);
        let name = match script {
            0..55 => {
                let first = match random.u8(..4) {
                    0 => often(random, &self.first).to_owned(),
                    _ => pick(random, &FIRST).to_owned(),
                };
                let last = match random.u8(..8) {
                    0 => often(random, &LAST),
                    _ => often(random, &self.last),
                };
                let local = format!("{first}.{last}").to_lowercase();
                return (format!("{first} {last}"), meishi_contacts::search::fold(&local));
            }
            55..68 => {
                let mut name = String::from(HAN_LAST[random.usize(..HAN_LAST.len())]);
                for _ in 0..random.usize(1..=2) {
                    let given = 0x4e00 + (random.f64().powi(2) * 1500.0) as u32 * 7;
                    name.extend(match random.u8(..12) {
                        0 => Some('芳'),
                        1 => Some('小'),
                        2 => Some('明'),
                        _ => char::from_u32(given),
                    });
                }
                name
            }
            68..74 => format!("{} {}", pick(random, &JAPANESE), pick(random, &KANA)),
            74..80 => {
                let last = HANGUL_LAST[random.usize(..HANGUL_LAST.len())];
                format!("{last}{}{}", pick(random, &HANGUL), pick(random, &HANGUL))
            }
            80..86 => format!("{} {}", pick(random, &THAI), pick(random, &THAI)),
            86..92 => format!("{} {}", pick(random, &ARABIC), pick(random, &ARABIC)),
            _ => format!("{} {}", pick(random, &CYRILLIC), pick(random, &CYRILLIC)),
        };
        (name, plain(random))
    }
}

fn pick<'a>(random: &mut fastrand::Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(..of.len())]
}

/// The first ones more often than the last.
fn often<'a, T: AsRef<str>>(random: &mut fastrand::Rng, of: &'a [T]) -> &'a str {
    of[(random.f64().powi(3) * of.len() as f64) as usize].as_ref()
}
