//! The contacts that the bench works on: the same for everybody, as long as this file stays the
//! same. Contact `n` is a function of `n` alone.

use std::fmt::Write as _;

/// A word that about every 40th contact has in its name.
pub(super) const COMMON_NAME: &str = "hernandez";

/// The labels, from rare to common.
pub(super) const LABELS: [&str; 4] = ["press", "vip", "newsletter", "customer"];

const GIVEN: [&str; 40] = [
    "Ana",
    "José",
    "Zoë",
    "François",
    "Małgorzata",
    "Søren",
    "Katharina",
    "Jürgen",
    "Renée",
    "Stéphanie",
    "Björn",
    "Đorđe",
    "Łukasz",
    "Çağla",
    "Işıl",
    "Nuño",
    "Anaïs",
    "Håkon",
    "Zdeněk",
    "Siân",
    "Thomas",
    "Maria",
    "Peter",
    "Julia",
    "Carlos",
    "Emma",
    "Liam",
    "Olivia",
    "Noah",
    "Mia",
    "Lucas",
    "Sofia",
    "Hugo",
    "Alice",
    "Oscar",
    "Clara",
    "Felix",
    "Laura",
    "Simon",
    "Nina",
];
const FAMILY: [&str; 40] = [
    "Müller",
    "Schröder",
    "Lefèvre",
    "Nuñez",
    "Østergaard",
    "Kowalczyk",
    "Novák",
    "Şahin",
    "Ångström",
    "García",
    "Fernández",
    "Rodríguez",
    "Schneider",
    "Fischer",
    "Weber",
    "Meyer",
    "Wagner",
    "Becker",
    "Rossi",
    "Bianchi",
    "Silva",
    "Santos",
    "Pereira",
    "Jensen",
    "Nielsen",
    "Hansen",
    "Andersson",
    "Johansson",
    "Smith",
    "Jones",
    "Taylor",
    "Brown",
    "Wilson",
    "Evans",
    "Walker",
    "Wright",
    "Dubois",
    "Moreau",
    "Laurent",
    "Bernard",
];
const HAN_FAMILY: &str =
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕";
const HAN_GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国文辉力志鹏海燕雪飞鑫波斌宇浩凯健俊帆帅旭宁龙林欢佳";
const KANA_FAMILY: [&str; 10] =
    ["佐藤", "鈴木", "高橋", "田中", "渡辺", "伊藤", "山本", "中村", "小林", "加藤"];
const KANA_GIVEN: [&str; 12] = [
    "さくら",
    "ゆうき",
    "はると",
    "ひなた",
    "みさき",
    "ケンジ",
    "アキラ",
    "ユミ",
    "太郎",
    "花子",
    "陽菜",
    "翔太",
];
const HANGUL_FAMILY: [&str; 8] = ["김", "이", "박", "최", "정", "강", "조", "윤"];
const HANGUL_GIVEN: [&str; 12] = [
    "민준", "서연", "지우", "하은", "도윤", "예준", "수빈", "지훈", "유진", "현우", "지민", "서준",
];
const THAI: [&str; 12] = [
    "สมชาย",
    "สมหญิง",
    "วิชัย",
    "มาลี",
    "ใจดี",
    "รักไทย",
    "ประเสริฐ",
    "สุขใจ",
    "ทองดี",
    "แสงจันทร์",
    "บุญมี",
    "ศรีสุข",
];
const ARABIC: [&str; 12] = [
    "محمد",
    "أحمد",
    "فاطمة",
    "عائشة",
    "علي",
    "خالد",
    "يوسف",
    "مريم",
    "حسن",
    "إبراهيم",
    "ليلى",
    "عمر",
];
const CYRILLIC: [&str; 16] = [
    "Иван",
    "Мария",
    "Алексей",
    "Ольга",
    "Дмитрий",
    "Елена",
    "Сергей",
    "Анна",
    "Иванов",
    "Смирнова",
    "Кузнецов",
    "Попова",
    "Соколов",
    "Лебедева",
    "Козлов",
    "Ёлкин",
];
const HOSTS: [&str; 8] = [
    "gmail.com",
    "outlook.com",
    "example.com",
    "qq.com",
    "yahoo.co.jp",
    "naver.com",
    "acme.example",
    "mail.example.org",
];
const CITIES: [&str; 10] = [
    "Berlin",
    "Zürich",
    "São Paulo",
    "上海",
    "東京",
    "서울",
    "กรุงเทพ",
    "القاهرة",
    "Москва",
    "New York",
];
const PLANS: [&str; 5] = ["free", "starter", "pro", "business", "enterprise"];
const TIERS: [&str; 3] = ["bronze", "silver", "gold"];

/// Random numbers that are the same each time: the well-known mixing of `SplitMix64`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of a number.
    pub(super) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// The next number, below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        let index = usize::try_from(self.below(words.len() as u64)).unwrap_or(0);
        words.get(index).copied().unwrap_or_default()
    }

    fn char_of(&mut self, text: &str) -> char {
        let count = text.chars().count() as u64;
        let index = usize::try_from(self.below(count)).unwrap_or(0);
        text.chars().nth(index).unwrap_or('王')
    }
}

/// The body that creates contact `n`, in channel 1.
pub(super) fn contact(n: u64) -> String {
    let mut dice = Dice::of(n);
    let name = name(&mut dice);
    let mut body = String::with_capacity(512);
    // No value has a character that JSON would escape. A number that only spreads makes addresses
    // that lie apart in an index, as those of real people do.
    let spread = n.wrapping_mul(2_654_435_761) % 10_000_000_000;
    let (host, city, plan) = (dice.one_of(&HOSTS), dice.one_of(&CITIES), dice.one_of(&PLANS));
    let given = dice.one_of(&["ana", "wei", "taro", "ivan", "kim", "somchai", "omar", "jo"]);
    let (seats, tier, vip) = (dice.below(1000), dice.one_of(&TIERS), dice.below(10) == 0);
    let (month, day) = (1 + dice.below(12), 1 + dice.below(28));
    let activity = 1_700_000_000 + dice.below(60_000_000);
    let _ = write!(
        body,
        r#"{{"inbox_id":1,"name":"{name}","email":"{given}.{spread:x}@{host}","phone_number":"+49{spread:010}","identifier":"user-{spread:08x}-{n}","last_activity_at":{activity},"additional_attributes":{{"city":"{city}","company_name":"Company {}"}},"custom_attributes":{{"plan":"{plan}","seats":{seats},"renewal":"2026-{month:02}-{day:02}","vip":{vip},"tier":"{tier}"}}}}"#,
        dice.below(5000),
    );
    body
}

/// The labels of contact `n`.
pub(super) fn labels(n: u64) -> Vec<&'static str> {
    let mut dice = Dice::of(n ^ 0x5eed);
    let odds = [200, 40, 8, 4];
    LABELS
        .into_iter()
        .zip(odds)
        .filter(|(_, one_in)| dice.below(*one_in) == 0)
        .map(|(l, _)| l)
        .collect()
}

fn name(dice: &mut Dice) -> String {
    match dice.below(100) {
        0..3 => format!("{} Hernández", dice.one_of(&GIVEN)),
        3..50 => format!("{} {}", dice.one_of(&GIVEN), dice.one_of(&FAMILY)),
        50..75 => {
            let mut name = String::from(dice.char_of(HAN_FAMILY));
            for _ in 0..=dice.below(2) {
                name.push(dice.char_of(HAN_GIVEN));
            }
            name
        }
        75..82 => format!("{} {}", dice.one_of(&KANA_FAMILY), dice.one_of(&KANA_GIVEN)),
        82..88 => format!("{}{}", dice.one_of(&HANGUL_FAMILY), dice.one_of(&HANGUL_GIVEN)),
        88..92 => format!("{} {}", dice.one_of(&THAI), dice.one_of(&THAI)),
        92..96 => format!("{} {}", dice.one_of(&ARABIC), dice.one_of(&ARABIC)),
        _ => format!("{} {}", dice.one_of(&CYRILLIC), dice.one_of(&CYRILLIC)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_json_and_their_addresses_their_own() {
        let mut addresses = std::collections::BTreeSet::new();
        for n in 1..5000 {
            let contact: serde_json::Value = serde_json::from_str(&contact(n)).unwrap();
            for field in ["email", "phone_number", "identifier"] {
                let address = contact.get(field).unwrap().as_str().unwrap().to_owned();
                assert!(addresses.insert(address), "{field} of {n} twice");
            }
        }
        assert_eq!(contact(7), contact(7));
    }
}
