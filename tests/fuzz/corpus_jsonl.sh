# shellcheck shell=bash
# Seeds of the import of lines: what corpus.sh reads.
begin jsonl

line='{"stream":"account-7","type":"opened","data":{"owner":"Ada"}}'

plain one_line "$line"
escaped lines_ended "{\"stream\":\"a\",\"type\":\"t\"}\n{\"stream\":\"a\",\"type\":\"u\"}\r\n"
escaped blank_lines '\n\n  \n{"stream":"a","type":"t"}\n\n'
plain nothing ''
plain all_fields '{"stream":"a","type":"t","time":"2024-02-29T12:00:00.5Z","data":[1],"metadata":{"by":"x"},"id":"k1","position":7,"version":"3","schema_version":2,"codec":"json"}'
plain fields_in_another_order '{"codec":"json","schema_version":9,"type":"t","data":null,"stream":"a"}'
plain fields_escaped '{"str\u0065am":"\u00e9-1","typ\u0065":"t\"t"}'
escaped two_streams '{"stream":"a-1","type":"t","data":1}\n{"stream":"b-1","type":"t","data":2}\n{"stream":"a-1","type":"u","data":3}\n'

# Times.
plain time_with_offset '{"stream":"a","type":"t","time":"2000-01-01T01:00:00.123456+01:00"}'
plain time_lower_case '{"stream":"a","type":"t","time":"1969-12-31t23:59:59.999999z"}'
plain time_first '{"stream":"a","type":"t","time":"0000-01-01T00:00:00Z"}'
plain time_last '{"stream":"a","type":"t","time":"9999-12-31T23:59:59.999999Z"}'
plain time_leap_second '{"stream":"a","type":"t","time":"2016-12-31T23:59:60Z"}'
plain time_too_fine '{"stream":"a","type":"t","time":"2016-12-31T23:59:59.1234567Z"}'
plain time_zeros_at_the_end '{"stream":"a","type":"t","time":"2016-12-31T23:59:59.1234560000Z"}'
plain time_no_day '{"stream":"a","type":"t","time":"2023-02-29T12:00:00Z"}'
plain time_before_year_0 '{"stream":"a","type":"t","time":"0000-01-01T00:00:00+01:00"}'

# Payloads.
plain data_with_blanks '{"stream":"a","type":"t","data": { "n" : 12345678901234567890 } }'
plain data_in_base64 '{"stream":"a","type":"t","data_b64":"AAEC/w=="}'
plain data_of_cbor '{"stream":"a","type":"t","data_b64":"oWFhAQ==","codec":"cbor"}'
plain data_of_no_cbor '{"stream":"a","type":"t","data_b64":"oWFhAQE=","codec":"cbor"}'
plain data_of_json_in_base64 '{"stream":"a","type":"t","data_b64":"WzEsCjJd","codec":"json"}'
plain data_of_no_json_in_base64 '{"stream":"a","type":"t","data_b64":"WzEsCjI=","codec":"json"}'
plain data_of_a_foreign_codec '{"stream":"a","type":"t","data_b64":"AAEC","codec":"mine"}'
plain data_of_a_foreign_codec_as_json '{"stream":"a","type":"t","data":{},"codec":"mine"}'
plain data_twice '{"stream":"a","type":"t","data":1,"data_b64":"AA=="}'
plain metadata_in_base64 '{"stream":"a","type":"t","metadata_b64":"ewp9"}'
plain metadata_empty '{"stream":"a","type":"t","metadata_b64":""}'
plain base64_not_padded '{"stream":"a","type":"t","data_b64":"AAE"}'
plain base64_with_rest_bits '{"stream":"a","type":"t","data_b64":"AAF="}'
plain base64_of_others '{"stream":"a","type":"t","data_b64":"AA-_"}'

# Keys.
escaped id_twice_same '{"stream":"a","type":"t","id":"k"}\n{"stream":"a","type":"t","id":"k"}\n'
escaped id_twice_other '{"stream":"a","type":"t","id":"k"}\n{"stream":"a","type":"u","id":"k"}\n'
# shellcheck disable=SC2016 # a dollar is what it is
plain id_of_ours '{"stream":"a","type":"t","id":"$import"}'
plain id_empty '{"stream":"a","type":"t","id":""}'
escaped source_gives_keys '{"stream":"a","type":"t"}\n{"stream":"a","type":"t"}\n' 40

# What is refused.
plain no_stream '{"type":"t"}'
plain no_type '{"stream":"a"}'
# shellcheck disable=SC2016
plain stream_of_ours '{"stream":"$a","type":"t"}'
plain stream_empty '{"stream":"","type":"t"}'
plain stream_with_control_character '{"stream":"a\u0001","type":"t"}'
plain stream_no_string '{"stream":1,"type":"t"}'
plain unknown_field '{"stream":"a","type":"t","more":{"x":[1]}}'
plain unknown_field_lenient '{"stream":"a","type":"t","more":{"x":[1]}}' 20
plain field_twice '{"stream":"a","type":"t","type":"u"}'
plain position_no_integer '{"stream":"a","type":"t","position":1.5}'
plain version_too_large '{"stream":"a","type":"t","version":"9223372036854775808"}'
plain schema_version_zero '{"stream":"a","type":"t","schema_version":0}'
plain no_object '[1,2]'
plain no_json '{"stream":"a","type":"t"'
escaped no_utf8 '{"stream":"a\xff","type":"t"}'
escaped bad_between_good '{"stream":"a","type":"t"}\nno\n{"stream":"a","type":"u"}\n'

# How it is read.
escaped atomic_good '{"stream":"a","type":"t"}\n{"stream":"a","type":"u"}\n' 10
escaped atomic_bad '{"stream":"a","type":"t"}\nno\n{"stream":"a","type":"u"}\n' 10
escaped atomic_duplicates '{"stream":"a","type":"t","id":"k"}\n{"stream":"a","type":"t","id":"k"}\n' 10
escaped batches_of_two '{"stream":"a","type":"t"}\n{"stream":"b","type":"t"}\n{"stream":"a","type":"u"}\n' 80
escaped byte_by_byte '{"stream":"a","type":"t"}\r\n{"stream":"a","type":"u"}\r\n' 01
escaped cut_in_three '{"stream":"a","type":"t"}\r\n\n{"stream":"a","type":"u"}' 03
escaped lines_too_long "{\"stream\":\"a\",\"type\":\"t\",\"data\":\"$(repeated x 60)\"}\n{\"stream\":\"a\",\"type\":\"u\"}\n" 08
