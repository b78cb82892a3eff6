use rstest::rstest;
use serde_json::json;

use super::*;

fn enforced(key: &str, fields: AttributePatch) -> AttributeDefinition {
    let fields = AttributePatch { mode: Some(AttributeMode::Enforce), ..fields };
    let new = NewAttribute { key: key.to_owned(), fields };
    AttributeDefinition::new(AttributeId(1), &new, UnixMillis(0)).unwrap()
}

fn of(kind: AttributeType) -> AttributePatch {
    let values = (kind == AttributeType::List).then(|| vec!["gold".into(), "silver".into()]);
    AttributePatch { kind: Some(kind), values, ..AttributePatch::default() }
}

#[rstest]
#[case(AttributeType::Text, json!(["", "x", "12"]), json!([12, true, [], {}, ["x"]]))]
#[case(AttributeType::Number, json!([12, -1.5, 1e300, "12", " 1e3 "]), json!(["", "x", "0x1", true, [1], {}]))]
#[case(AttributeType::Currency, json!([12.99, "12.99"]), json!(["12 €"]))]
#[case(AttributeType::Percent, json!([120, "0.5"]), json!(["5 %"]))]
#[case(
    AttributeType::Link,
    json!(["http://a", "HTTPS://example.com/x?y#z", "https://müller.de"]),
    json!(["", "example.com", "https://", "http:///x", "ftp://a", "https://a b", "javascript://x", 1])
)]
#[case(
    AttributeType::Date,
    json!(["2026-01-31", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00.000+02:00"]),
    json!(["", "31.1.2026", "2026-02-30", 1_700_000_000, "tomorrow", true])
)]
#[case(AttributeType::List, json!(["gold"]), json!(["", "Gold", "bronze", 1, ["gold"]]))]
#[case(AttributeType::Checkbox, json!([true, false, "true", "False"]), json!(["", "yes", 1, 0, []]))]
fn a_value_fits_its_type(#[case] kind: AttributeType, #[case] fit: Value, #[case] unfit: Value) {
    let definition = enforced("key", of(kind));
    for value in fit.as_array().unwrap().iter().chain([&Value::Null]) {
        assert_eq!(definition.refuses(value, &mut Patterns::default()), None, "{value}");
    }
    let observed = AttributeDefinition { mode: AttributeMode::Observe, ..definition.clone() };
    for value in unfit.as_array().unwrap() {
        let fault = definition
            .refuses(value, &mut Patterns::default())
            .unwrap_or_else(|| panic!("{value}"));
        assert!(fault.message.contains(&format!("key ({})", kind.as_str())), "{fault:?}");
        assert_eq!(observed.refuses(value, &mut Patterns::default()), None);
    }
}

#[test]
fn a_refusal_names_attribute_type_and_hint() {
    let patch = AttributePatch {
        regex: Patch::Set(r"^\d{5}$".into()),
        hint: Patch::Set("five digits".into()),
        ..AttributePatch::default()
    };
    let mut zip = enforced("zip.code", patch);
    assert_eq!(zip.refuses(&json!("12345"), &mut Patterns::default()), None);
    let fault = zip.refuses(&json!("1234"), &mut Patterns::default()).unwrap();
    assert_eq!(fault.message, "Custom attributes zip.code (text) does not match: five digits");
    assert_eq!(fault.attribute, "custom_attributes");
    assert_eq!(fault.pointer, "/custom_attributes/zip.code");
    zip.apply(&AttributePatch { hint: Patch::Clear, ..AttributePatch::default() }).unwrap();
    let fault = zip.refuses(&json!(""), &mut Patterns::default()).unwrap();
    assert_eq!(fault.message, r"Custom attributes zip.code (text) must match ^\d{5}$");
    let tier = enforced("tier", of(AttributeType::List));
    let fault = tier.refuses(&json!("bronze"), &mut Patterns::default()).unwrap();
    assert_eq!(fault.message, "Custom attributes tier (list) must be one of gold, silver");
    let many = (0..=REPEATED_VALUES).map(|number| format!("v{number}")).collect();
    let many = AttributePatch { values: Some(many), ..of(AttributeType::List) };
    let fault = enforced("tier", many).refuses(&json!(""), &mut Patterns::default()).unwrap();
    assert!(fault.message.ends_with(&format!("v{}, …", REPEATED_VALUES - 1)), "{fault:?}");
}

#[test]
fn what_a_type_does_not_have_goes_with_the_type_that_had_it() {
    let mut tier = enforced("tier", of(AttributeType::List));
    let text = AttributePatch { regex: Patch::Set("x".into()), ..of(AttributeType::Text) };
    let fields: Vec<_> = tier.apply(&text).unwrap().into_iter().map(|c| c.field).collect();
    assert_eq!(fields, [Field::Type, Field::Values, Field::Regex]);
    assert_eq!(tier.apply(&text).unwrap(), []);
    let before = tier.clone();
    let faults = |patch: AttributePatch| {
        let faults = tier.clone().apply(&patch).unwrap_err();
        faults.into_iter().map(|fault| fault.attribute).collect::<Vec<_>>()
    };
    let list = AttributePatch { values: None, ..of(AttributeType::List) };
    assert_eq!(faults(list.clone()), ["values"]);
    let values = Some(vec!["x".to_owned()]);
    assert_eq!(faults(AttributePatch { values, ..AttributePatch::default() }), ["values"]);
    let hint = Patch::Set("x".to_owned());
    let both = AttributePatch { regex: hint.clone(), hint, ..of(AttributeType::Date) };
    assert_eq!(faults(both), ["regex", "hint"]);
    assert_eq!(tier, before);
    tier.apply(&of(AttributeType::Date)).unwrap();
    assert_eq!((tier.regex, tier.kind), (None, AttributeType::Date));
}

#[test]
fn keys_are_words_of_any_script() {
    for (text, key) in
        [(" Plan ", "Plan"), ("a.b-c_1", "a.b-c_1"), ("会员", "会员"), ("ใหม่", "ใหม่")]
    {
        assert_eq!(parse_key(text).unwrap(), key);
    }
    let long = "x".repeat(256);
    for (text, code) in [
        ("", FaultCode::Blank),
        ("  ", FaultCode::Blank),
        ("a b", FaultCode::Invalid),
        ("a/b", FaultCode::Invalid),
        ("a\0", FaultCode::Invalid),
        ("email", FaultCode::Invalid),
        ("referer", FaultCode::Invalid),
        (&long, FaultCode::TooLong),
    ] {
        assert_eq!(parse_key(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn values_are_different_texts() {
    let parse = |values: Value| parse_values(values.as_array().unwrap());
    assert_eq!(parse(json!([" a ", "A"])).unwrap(), ["a", "A"]);
    for values in [json!([""]), json!([1]), json!(["a", "a "]), json!(["a\u{0}"])] {
        assert_eq!(parse(values.clone()).unwrap_err().code, FaultCode::Invalid, "{values}");
    }
    assert_eq!(parse(json!(["a", null])).unwrap_err().pointer, "/values/1");
    let many: Vec<Value> = (0..=ATTRIBUTE_VALUES).map(|n| json!(n.to_string())).collect();
    assert_eq!(parse_values(&many).unwrap_err().code, FaultCode::LimitExceeded);
    assert_eq!(parse(json!(["x".repeat(256)])).unwrap_err().code, FaultCode::TooLong);
}

#[test]
fn patterns_are_bounded() {
    for text in [r"^\d{5}$", r"(?i)^[a-zäöü]+$", r"^\p{L}+$", "", r"^\w+@\w+$"] {
        assert_eq!(parse_regex(text).unwrap(), text);
    }
    for text in ["(", r"(a)\1", "(?=a)b", "[", "a{2,1}", "\0"] {
        assert_eq!(parse_regex(text).unwrap_err().code, FaultCode::Invalid, "{text}");
    }
    assert_eq!(parse_regex(&"a".repeat(REGEX_CHARS + 1)).unwrap_err().code, FaultCode::TooLong);
    for text in ["(a{1000}){1000}", r"(\p{L}{100}){100}"] {
        assert_eq!(parse_regex(text).unwrap_err().code, FaultCode::LimitExceeded, "{text}");
    }
    let fault = parse_regex("a(?=b)").unwrap_err();
    assert!(fault.message.starts_with("Regex is not understood: look-around"), "{fault:?}");
}

#[test]
fn a_pattern_takes_linear_time() {
    let text = "a".repeat(REGEX_TEXT_CHARS - 1) + "!";
    let patch = AttributePatch { regex: Patch::Set("^(a+)+$".into()), ..AttributePatch::default() };
    // Backtracking would not end.
    let definition = enforced("key", patch);
    assert!(definition.refuses(&json!(text), &mut Patterns::default()).is_some());
}

#[test]
fn a_text_that_is_to_match_has_a_limit() {
    let patch = AttributePatch { regex: Patch::Set("^a".into()), ..AttributePatch::default() };
    let (definition, mut patterns) = (enforced("key", patch), Patterns::default());
    let longest = "a".to_owned() + &"ä".repeat(REGEX_TEXT_CHARS - 1);
    assert_eq!(definition.refuses(&json!(longest), &mut patterns), None);
    assert!(definition.refuses(&json!(longest + "ä"), &mut patterns).is_some());
}
