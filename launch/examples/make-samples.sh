#!/bin/sh
# Makes the samples of the examples: a few generated lines in the format of each public data set, so
# that each example trains as it stands. They hold no line of any data set. Their numbers come from
# one generator, so the same files are made everywhere.
#   make-samples.sh OUT
set -eu
if [ $# -ne 1 ]; then
  sed -n '2,5p' "$0" >&2
  exit 2
fi
for name in adult avazu criteo frappe lists ml-100k; do
  mkdir -p "$1/$name"
  awk -v name="$name" -v out="$1/$name" '
    function draw(n) { seed = (seed * 16807) % 2147483647; return seed % n }
    function hex(n) { return sprintf("%08x", n * 7919 + 268435456) }
    function word(list,   cell, n) { n = split(list, cell, "|"); return cell[1 + draw(n)] }
    # 1 more often for even items than for odd ones.
    function label(item) { return draw(100) < (item % 2 == 0 ? 70 : 25) ? 1 : 0 }
    function frappe(   item, i, line) {
      item = draw(24)
      line = label(item) "," draw(16) "," 100 + item
      for (i = 0; i < 8; ++i) { line = line "," 200 + 10 * i + draw(3) }
      return line
    }
    function adult(end,   age) {
      age = 18 + draw(60)
      return age ", " word("Private|State|?") ", " 10000 + draw(90000) ", School, " 1 + draw(16) ", " \
        word("Married|Single") ", " word("Clerk|Farmer|Sales|?") ", " word("Wife|Husband|Other") ", " \
        word("A|B") ", " word("Female|Male") ", " 0 + (draw(9) == 0) * draw(9000) ", " \
        0 + (draw(9) == 0) * draw(2000) ", " 10 + draw(60) ", " word("Here|There|?") ", " \
        (label(age) ? ">50K" : "<=50K") end
    }
    function avazu(number,   site, i, line) {
      site = draw(12)
      line = "10000000" 100000 + number "," label(site) "," 14010100 + draw(24) "," 1000 + draw(4) "," draw(2)
      for (i = 0; i < 9; ++i) { line = line "," hex(i == 0 ? site : 100 * i + draw(5)) }
      line = line "," draw(2) "," draw(3) "," 15000 + draw(9) ",320,50," 1700 + draw(5) "," draw(4) ",35"
      return line "," word("-1|100000|100001") "," 10 + draw(9)
    }
    function criteo(   first, i, line) {
      first = draw(12)
      line = label(first)
      for (i = 0; i < 13; ++i) { line = line "\t" (draw(5) == 0 ? "" : draw(i == 1 ? 9 : 200) - (i == 1)) }
      for (i = 0; i < 26; ++i) { line = line "\t" (draw(9) == 0 ? "" : hex(i == 0 ? first : 100 * i + draw(4))) }
      return line
    }
    function rating(   item) {
      item = 1 + draw(20)
      return 1 + draw(16) "\t" item "\t" 1 + draw(3) + 2 * label(item) "\t" 880000000 + draw(9999)
    }
    function list(   i, line, n) {
      n = 1 + draw(5)
      line = 1000 + draw(30)
      for (i = 1; i < n; ++i) { line = line " " 1000 + draw(30) }
      return line
    }
    function pair(   item) { item = draw(30); return label(item) "," 1000 + item "," list() }
    function write(file, lines, end,   i) {
      for (i = 0; i < lines; ++i) {
        print (name == "frappe" ? frappe() : name == "adult" ? adult(end) : name == "avazu" ? avazu(i) \
               : name == "criteo" ? criteo() : name == "ml-100k" ? rating() : pair()) > (out "/" file)
      }
    }
    BEGIN {
      seed = 42
      if (name == "frappe") {
        header = "label,user,item,daytime,weekday,isweekend,homework,cost,weather,country,city"
        print header > (out "/train.csv"); print header > (out "/valid.csv")
        write("train.csv", 96); write("valid.csv", 48)
      } else if (name == "adult") {
        print "|1x3 Cross validator" > (out "/adult.test")
        write("adult.data", 48, ""); write("adult.test", 24, ".")
      } else if (name == "avazu") {
        line = "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category"
        line = line ",device_id,device_ip,device_model,device_type,device_conn_type"
        for (i = 14; i <= 21; ++i) { line = line ",C" i }
        print line > (out "/sample.csv")
        write("sample.csv", 32)
      } else if (name == "criteo") {
        write("sample.tsv", 32)
      } else if (name == "ml-100k") {
        write("u1.base", 120); write("u1.test", 40)
      } else {
        write("train.csv", 120); write("valid.csv", 40)
      }
    }'
done
