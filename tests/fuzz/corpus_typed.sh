# shellcheck shell=bash
# Seeds of typed payloads: what corpus.sh reads. The first digit is the table of typed_tables.c, the
# second the codec: 0 for JSON, 1 for CBOR.
begin typed

# Scalars.
plain scalars_none '{}'
plain scalars_all '{"yes":true,"i8":-128,"i16":32767,"i32":-2147483648,"i64":9007199254740991,"ll":"-9223372036854775808","u8":255,"u16":65535,"u32":4294967295,"u64":"18446744073709551615","s":"0","f":0.1,"d":5e-324,"e":"far","eo":"r\"\u00e9"}'
plain scalars_null '{"yes":null,"i8":null,"d":null,"e":null}'
plain scalars_in_another_order '{"e":"red","d":-0,"u8":"7","more":[{"x":1}],"yes":false}'
plain integers_beyond '{"i8":128}'
plain integers_negative '{"u8":-1}'
plain integers_rounded '{"i64":9007199254740993}'
plain integers_in_strings '{"i64":"-9223372036854775808","u64":"18446744073709551615","i8":"-0"}'
plain integers_as_reals '{"i32":1.0}'
plain reals '{"f":3.4028234663852886e38,"d":1.7976931348623157e308}'
plain reals_half_way '{"f":1.00000005960464477539062500,"d":9007199254740993e0}'
plain reals_halfway_long '{"d":2.22507385850720113605740979670913197593481954635164564e-308}'
plain reals_beyond '{"d":1e400}'
plain reals_to_nothing '{"d":1e-400}'
plain reals_float_beyond '{"f":3.4028236e38}'
plain enum_unknown '{"e":"blue"}'
plain enum_unknown_allowed '{"eo":"blue"}'
binary scalars_in_cbor 'a6 62 6938 38 7f 62 6934 00 63 796573 f5 61 66 fa3dcccccd 61 64 fb3ff199999999999a 61 65 63 726564' 01
binary scalars_reals_not_finite 'a2 61 66 f97e00 61 64 f9fc00' 01
binary scalars_real_in_float 'a1 61 66 fb3ff199999999999a' 01
binary scalars_integer_as_real 'a1 61 64 1b001fffffffffffff' 01
binary scalars_integer_rounded 'a1 61 64 1b0020000000000001' 01
binary scalars_largest 'a2 63 753634 1bffffffffffffffff 62 6c6c 3b7fffffffffffffff' 01
binary scalars_minus_2_to_64 'a1 62 6c6c 3bffffffffffffffff' 01
binary scalars_with_integer_keys 'a2 00 01 62 6938 05' 01
binary scalars_tagged 'a1 62 6938 c1 05' 01

# Texts and bytes; strict.
plain texts_all '{"t":"1234567","n":"","o":"owned \ud83d\ude00","w":"","x":"AAEC","c":"AAECAwQF","b":"AAE="}' 10
plain texts_least '{"w":"w"}' 10
plain texts_missing '{"t":""}' 10
plain texts_too_long '{"w":"","t":"12345678"}' 10
plain texts_unknown_key '{"w":"","more":1}' 10
plain texts_key_escaped '{"\u0077":"\u0077","t":"\u20ac\u20ac"}' 10
plain bytes_too_few '{"w":"","x":"AAE="}' 10
plain bytes_no_base64 '{"w":"","b":"AA"}' 10
binary texts_in_cbor 'a4 61 77 7f 61 61 61 62 ff 61 74 62 c2a9 61 78 43 000102 61 62 5f 41 00 40 ff' 11
binary texts_with_nul 'a1 61 77 63 610062' 11
binary bytes_counted 'a2 61 77 60 61 63 46 000102030405' 11
binary bytes_too_many 'a2 61 77 60 61 63 47 00010203040506' 11

# What may be missing.
plain holes_all '{"number":"1","text":"abc","named":"red","inner":{"name":"i","weight":1.5},"outer":{"name":"o"},"\u00e9":"AAE="}' 20
plain holes_none '{"outer":{"name":""}}' 20
plain holes_null '{"number":null,"inner":null,"outer":{"name":"","weight":null},"text":null}' 20
plain holes_outer_null '{"outer":null}' 20
plain holes_inner_no_object '{"inner":[]}' 20
plain holes_inner_incomplete '{"inner":{"weight":1}}' 20
binary holes_in_cbor 'a3 65 6f75746572 a1 64 6e616d65 61 6f 62 c3a9 42 0001 65 696e6e6572 bf 64 6e616d65 60 66 776569676874 f9 3e00 ff' 21

# Shapes.
plain shapes_all '{"pair":[0.5,-1e300],"names":["abc",""],"w":[{"both":["x",""],"blobs":["AA=="]}],"l":["1",2],"k":["AAE="],"p":[{"name":"a"},{"name":"b","weight":0}],"v":[1,-1,"9223372036854775807"],"t":["","\u00e9"],"b":["","AAE="],"c":["abc"],"op":[{"name":"x"}]}' 30
plain shapes_texts '{"w":[{"both":["x","y"],"blobs":["AA=="]},{"both":["","z"],"blobs":[""]}],"t":["a","b","c"]}' 30
plain shapes_texts_missing '{"w":[{"both":["x",null],"blobs":["AA=="]}]}' 30
plain shapes_empty '{"l":[],"k":[],"p":[],"v":[],"t":[],"b":[],"c":[],"op":[]}' 30
plain shapes_too_few '{"pair":[1]}' 30
plain shapes_too_many '{"l":[1,2,3,4]}' 30
plain shapes_null_in_list '{"v":[null]}' 30
plain shapes_owned_long "{\"v\":[$(repeated 0, 200)1],\"op\":[$(repeated '{"name":"a"},' 20){\"name\":\"b\"}]}" 30
plain shapes_count_beyond "{\"op\":[$(repeated '{"name":""},' 255){\"name\":\"\"}]}" 30
binary shapes_in_cbor 'a5 61 76 9f 01 20 ff 61 74 82 61 61 60 61 6b 81 42 0001 61 70 81 a1 64 6e616d65 60 61 62 82 40 5f ff' 31
binary shapes_announced 'a1 61 76 9a 00100000' 31

# Trees.
plain node_alone '{}' 40
plain node_deep "$(repeated '{"n":"x","b":[' 30){}$(repeated ']}' 30)" 40
plain node_too_deep "$(repeated '{"b":[' 40){}$(repeated ']}' 40)" 40
plain node_wide "{\"n\":\"root\",\"b\":[$(repeated '{"b":[{}]},' 10){\"p\":[{\"name\":\"\"}]}]}" 40
plain node_bad_inside '{"b":[{"n":"lost"},{"b":[{"n":"lost too"},{"x":1}]}]}' 40
binary node_in_cbor 'a2 61 6e 61 61 61 62 9f a0 a1 61 62 81 a1 61 6e f6 ff' 41
binary node_cut 'a2 61 6e 61 61 61 62 82 a1 61 6e 63 616263 a1' 41
