#!/usr/bin/env python3
"""Writes the scores that tests/test_metrics.c compares with: python3 bleu_vectors.py > bleu_vectors.h

Needs sacrebleu from PyPI; not run by the tests. Small corpora, edge cases by hand and random ones,
each scored by sacrebleu with the four tokenizers that the library knows.
"""

import random

import sacrebleu
from sacrebleu.metrics import BLEU

TOKENIZERS = ["13a", "zh", "char", "none"]

# (hypothesis, reference), each a corpus by itself
SINGLE = [
    ("", ""),
    ("", "the cat sat on the mat"),
    ("the cat sat on the mat", ""),
    ("the cat sat on the mat", "the cat sat on the mat"),
    ("the the the the the the the", "the cat is on the mat"),
    ("The cat sat on the mat.", "the cat sat on the mat ."),
    ("cat", "cat"),
    ("a b c", "a b c"),
    ("a b c d", "a b c d"),
    ("a b c d e", "a b c x e"),
    ("a b", "a b c d e f g h"),
    ("x y z", "a b c"),
    ("Hello, world! (How) are [you] {today}?", "Hello , world ! ( How ) are [ you ] { today } ?"),
    ("It's 3.14, 1,000.5 or .5, 5. and 10-20; well-known", "It's 3.14 , 1,000.5 or . 5 , 5 . and 10 - 20 ; well-known"),
    ("wait... what,.,. no,,5 5,,no 1.,2", "wait . . . what , . , . no , , 5 5 , , no 1 . , 2"),
    ("a.b.c 1.2.3 a.1 1.a .", "a . b . c 1.2.3 a . 1 1 . a ."),
    ("&quot;A&quot; &amp; B &lt;c&gt; &amp;lt; &amp;quot; AT&T", '"A" & B <c> &lt; " AT & T < quot ;'),
    ("a <skipped>b <skip<skipped>ped> c d", "a b <skipped> c d"),
    ("line one-\ntwo three\nfour five", "line onetwo three four five"),
    ("ends with a dash-\n", "ends with a dash -"),
    ("  leading and trailing \t", "leading and trailing"),
    (" .5 starts here, so does it", ".5 starts here , so does it"),
    ("\u3000.5 wide blank first, yes", ".5 wide blank first , yes"),
    ("one\u00a0two\u2003three\u2028four\u0085five\x1fsix\x0bseven\x1ceight", "one two three four five six seven eight"),
    ("zero\u200bwidth is no blank here", "zero width is no blank here"),
    ("price: $5.00 + 10% @ #1 ~ ^_^ `q` \\ | a*b=c", "price : $ 5.00 + 10 % @ # 1 ~ ^ _ ^ ` q ` \\ | a * b = c"),
    ("a!b\"c#d$e%f&g'h(i)j*k+l,m-n.o/p:q;r<s=t>u?v@w[x\\y]z^a_b`c{d|e}f~g", "a ! b \" c # d $ e % f & g'h ( i ) j * k + l , m-n . o / p : q ; r < s = t > u ? v @ w [ x \\ y ] z ^ a _ b ` c { d | e } f ~ g"),
    ("«Où est-il?» — demanda l'élève.", "« Où est-il ? » — demanda l'élève ."),
    ("“Let’s go,” he said… really", "“ Let’s go , ” he said … really"),
    ("我喜欢吃苹果。", "我喜欢吃苹果。"),
    ("我喜欢吃苹果。", "他喜欢吃香蕉。"),
    ("他在2010年1月3日说：“你好，world!”", "他在 2010 年 1 月 3 日说：“你好，World!”"),
    ("价格是3.5元,不是5.", "价格是 3.5 元 , 不是 5 ."),
    ("ＡＢＣ１２３．４，５", "ABC123.4,5"),
    ("\U00020000\U0002a6d6x \U0002f800y 㐀䶵鿿 龻", "\U00020000 \U0002a6d6x \U0002f800 y 㐀 䶵 鿿 龻"),
    ("a\u2000b\u2001c\u2012d\u2a6de\u2a6ef\u2f80g\u2f81h", "a b c\u2012d \u2a6d e\u2a6ef \u2f80 g \u2f81 h"),
    ("カタカナ ひらがな 한국어 ㄅㄆ ⺀ ㌔", "カタカナ ひらがな 한 국 어 ㄅ ㄆ ⺀ ㌔"),
    ("e\u0301te\u0301 naïve 👩‍👩‍👧 🙂 x", "été naïve 👩‍👩‍👧 🙂 x"),
    ("é.a é,b 5é. .é ,é", "é . a é , b 5é . . é , é"),
]

WORDS = """the a cat dog sat on mat is was not of to and don't U.S. 3.14 1,000 10-20 "quoted" (so) end. , . ! ?
; : - ... 50% $5 e-mail x=y &amp; “curly” — … naïve Straße 我 你好 。 ， 中国 2010年 ！ ？ the the of a""".split()


def random_corpus(r):
    hypotheses, references = [], []
    for _ in range(r.randint(1, 6)):
        words = [r.choice(WORDS) for _ in range(r.randint(0, 14))]
        other = list(words)
        for _ in range(r.randint(0, 4)):
            k = r.randrange(len(other) + 1)
            change = r.randrange(3)
            if change == 0:
                other.insert(k, r.choice(WORDS))
            elif k < len(other):
                if change == 1:
                    other[k] = r.choice(WORDS)
                else:
                    del other[k]
        join = r.choice([" ", " ", "", "  "])
        hypotheses.append(join.join(other))
        references.append(r.choice([" ", join]).join(words))
    return hypotheses, references


def literal(text):
    out = ""
    for c in text:
        if c in '"\\':
            out += "\\" + c
        elif ord(c) < 32 or 127 <= ord(c) < 161 or 0x2000 <= ord(c) < 0x2010 or 0x2028 <= ord(c) < 0x2030 or c == "\u3000":
            out += "".join("\\%03o" % b for b in c.encode())
        else:
            out += c
    return '"' + out + '"'


def main():
    corpora = [([h], [r]) for h, r in SINGLE]
    corpora.append(([h for h, _ in SINGLE], [r for _, r in SINGLE]))
    r = random.Random(20)
    corpora += [random_corpus(r) for _ in range(60)]
    print("/* By bleu_vectors.py with sacrebleu %s. */" % sacrebleu.__version__)
    print("static const char *const bleu_text[] = { /* hypothesis, reference */")
    for hypotheses, references in corpora:
        for pair in zip(hypotheses, references):
            print("    %s, %s," % tuple(map(literal, pair)))
    print("};\n")
    print("/* For each corpus and tokenizer (13a zh char none): score, brevity, precisions, lengths,")
    print(" * matches and n-grams of order 1 ... 4. */")
    print("static const struct {\n    int n; /* pairs, the next ones of bleu_text */\n    struct {")
    print("        double score, brevity, precision[4];\n        int hypothesis, reference, correct[4], total[4];")
    print("    } by[4];\n} bleu_corpus[] = {")
    for hypotheses, references in corpora:
        print("    {%d, {" % len(hypotheses))
        for t in TOKENIZERS:
            s = BLEU(tokenize=t).corpus_score(hypotheses, [references])
            numbers = lambda x: "{%s}" % ", ".join("%r" % v for v in x)
            print("        {%.12g, %.12g, {%s}, %d, %d, %s, %s}," % (
                s.score, s.bp, ", ".join("%.12g" % p for p in s.precisions), s.sys_len, s.ref_len,
                numbers(s.counts), numbers(s.totals)))
        print("    }},")
    print("};")


main()
