#!/usr/bin/env python3
"""
Mutation test of the derivatives: every vjp and every composition (`lower`) in core/ and ops/ is made
wrong in many small ways, one at a time, and the program gradcheck has to notice each.

    tests/mutants.py [--build DIR] [--jobs N] [--only TEXT] [--list] [-v]

A mutant is a change of the source text: a term or factor dropped, a sign flipped, operands swapped,
a comparison turned around, an operand taken for another, a number off by one. Only the file it is in
is compiled; it is linked before the library's archive, whose own object is then left out. Mutants
that mean the same as the original are listed with the reason in mutants.txt.

Ends with status 1 if fewer than 98 % of those that compile are caught.
"""
import argparse
import collections
import glob
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOAL = 0.98
SECONDS = 60  # for one run; longer is caught

Mutant = collections.namedtuple("Mutant", "path function line start end text original which")


def key(m):
    """How mutants.txt names a mutant: it does not depend on where in the file the function stands. The
    same change in several places of it has a number."""
    which = f" ({m.which})" if m.which > 1 else ""
    return f"{m.path} {m.function}: {squeeze(m.original)} -> {squeeze(m.text)}{which}"


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


# ---- reading C ---------------------------------------------------------------------------------


def without_comments(text):
    """Comments, and strings' contents, as blanks: places stay what they are."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    return re.sub(r'"(?:[^"\\\n]|\\.)*"', lambda m: '"' + " " * (len(m.group(0)) - 2) + '"', text)


def closing(text, at):
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += text[i] in "([{"
        depth -= text[i] in ")]}"
        if depth == 0:
            return i
    raise ValueError("brackets do not match")


def arguments(text, at):
    """Spans of the arguments of a call whose opening parenthesis is at `at`."""
    end, spans, depth, start = closing(text, at), [], 0, at + 1
    for i in range(at + 1, end + 1):
        depth += text[i] in "([{"
        if i == end or (text[i] == "," and depth == 0):
            spans.append((start, i))
            start = i + 1
        depth -= text[i] in ")]}"
    strip = lambda a, b: (a + len(text[a:b]) - len(text[a:b].lstrip()), a + len(text[a:b].rstrip()))
    return [strip(a, b) for a, b in spans if text[a:b].strip()]


def functions(code):
    """Name -> (start of body, its end) of all functions of a file."""
    found = {}
    for m in re.finditer(r"^(?:static )?(?:inline )?[\w ]+?[ *](\w+)\(", code, re.M):
        try:
            body = closing(code, m.end() - 1) + 1
        except ValueError:
            continue
        rest = re.match(r"\s*\{", code[body:])
        if rest:
            start = body + rest.end() - 1
            found[m.group(1)] = (start, closing(code, start), m.group(0))
    return found


def regions(code):
    """(function, start, end, whether an expression) of all that defines derivatives."""
    found = functions(code)
    takes = r"\((?:const sg_vjp_call \*v|const void \*attr, int n), "
    wanted = {f for f in found if re.search(r"\b" + f + takes, code)}
    macros = []
    for m in re.finditer(r"^SG_(UNARY|BINARY)(\()", code, re.M):
        spans = arguments(code, m.start(2))
        name = code[slice(*spans[0])]
        macros += [(name, a, b, True) for a, b in spans[3:]]
    # Helpers that these call belong to them: not those that record ops, which are the ops' own.
    grows = True
    while grows:
        texts = [code[found[f][0] : found[f][1]] for f in wanted] + [code[a:b] for _, a, b, _ in macros]
        calls = {f for t in texts for f in re.findall(r"\b(\w+)\(", t)}
        more = {
            f for f in calls & found.keys() - wanted
            if "sg_tensor" in found[f][2] + code[found[f][0] : found[f][1]]
            and not f.startswith("sg_") and "sg_record" not in code[found[f][0] : found[f][1]]
        }
        grows = bool(more)
        wanted |= more
    return [(f, found[f][0], found[f][1], False) for f in sorted(wanted)] + macros


# ---- mutants -----------------------------------------------------------------------------------

SWAPPED = {"sg_sin": "sg_cos", "sg_cos": "sg_sin", "sg_less": "sg_greater", "sg_greater": "sg_less",
           "sg_equal": "sg_not_equal", "sg_not_equal": "sg_equal", "sg_logical_and": "sg_logical_or",
           "sg_sum": "sg_mean", "sg_mean": "sg_sum", "sg_add": "sg_sub", "sg_sub": "sg_add",
           "sg_mul": "sg_add", "sg_div": "sg_mul", "sg_max": "sg_min", "sg_exp": "sg_expm1"}
PAIRS = {"sg_sub", "sg_div", "sg_matmul", "sg_pow", "sg_less", "sg_greater"}
DROPS = {"sg_add": (0, 1), "sg_sub": (0, 1), "sg_mul": (0, 1), "sg_div": (0,), "sg_where": (1, 2),
         "sg_logical_and": (0, 1)}
UNWRAPS = {"sg_neg", "sg_exp", "sg_log", "sg_sqrt", "sg_rsqrt", "sg_square", "sg_sin", "sg_cos",
           "sg_sigmoid", "sg_tanh", "sg_sign", "sg_transpose", "sg_flip", "sg_reshape", "sg_sum_to",
           "sg_broadcast_to", "sg_stop_gradient", "sg_softmax", "sg_expand_dims", "sg_squeeze"}
OTHERS = {"v->in[0]": ("v->in[1]", "v->out", "v->g"), "v->in[1]": ("v->in[0]", "v->out"),
          "v->in[2]": ("v->in[1]",), "v->out": ("v->in[0]", "v->g"), "v->g": ("v->out", "v->in[0]"),
          "in[0]": ("in[1]",), "in[1]": ("in[0]",), "in[2]": ("in[0]", "in[1]")}
LETTERS = {"x": ("y", "g"), "y": ("x", "g"), "z": ("x", "y", "g"), "g": ("y",)}
SIGNS = {" + ": (" - ",), " - ": (" + ",), " * ": (" + ",), " == ": (" != ",), " != ": (" == ",),
         " > ": (" <= ", " >= "), " < ": (" >= ", " <= "), " && ": (" || ",), " || ": (" && ",)}


def calls(code, start, end):
    """Mutations of calls of ops."""
    for m in re.finditer(r"\b(\w+)\(", code[start:end]):
        name, open_ = m.group(1), start + m.end() - 1
        if not name.startswith("sg_"):
            continue
        spans, close = arguments(code, open_), closing(code, open_) + 1
        whole = (start + m.start(), close)
        arg = [code[a:b] for a, b in spans]
        for k in DROPS.get(name, ()):
            yield (*whole, arg[k])
        if name == "sg_sub":
            yield (*whole, f"sg_neg({arg[1]})")
        if name in UNWRAPS:
            yield (*whole, arg[0])
        if name in PAIRS:
            yield (*whole, f"{name}({arg[1]}, {arg[0]})")
        if name == "sg_where":
            yield (*whole, f"sg_where({arg[0]}, {arg[2]}, {arg[1]})")
        if name in SWAPPED:
            yield (start + m.start(), open_, SWAPPED[name])
        if name in ("sg_less", "sg_greater"):
            yield (start + m.start(), open_, name + "_equal")
        if name in ("sg_like", "sg__filled") and len(spans) == 2:
            if "INFINITY" not in arg[1]:
                yield (*spans[1], f"({arg[1]}) + 1")
            if arg[1].strip("0.") != "":
                yield (*spans[1], f"-({arg[1]})")


def tokens(code, start, end, expression):
    """Mutations of operands, signs and numbers."""
    text = code[start:end]
    # sg_like asks its first operand for a type and a context only.
    types = [arguments(code, start + m.end() - 1)[0] for m in re.finditer(r"\bsg_like\(", text)]
    each = lambda pattern: (
        (a, b, m) for m in re.finditer(pattern, text) for a, b in [(start + m.start(), start + m.end())]
        if not any(first <= a < last for first, last in types))
    for a, b, m in each(r"\bv->(?:in\[\d\]|out\b|g\b)|(?<!>)\bin\[\d\]"):
        for other in OTHERS.get(m.group(0), ()):
            yield a, b, other
    if expression:
        for a, b, m in each(r"\b[xyzg]\b"):
            for other in LETTERS[m.group(0)]:
                yield a, b, other
    for a, b, m in each(r"\bi == (\d)"):
        yield a, b, f"i == {1 - int(m.group(1)) if m.group(1) in '01' else 1}"
    for a, b, m in each(r"\ba->\w+(?!\w)"):
        before = code[a - 1]
        yield a, b, f"({m.group(0)} + 1)" if before != "!" else f"!{m.group(0)}"
    for a, b, m in each(r"(?<=[(, ])(?:axis|last|start|size|classes)(?=[,);])"):
        yield a, b, f"({m.group(0)} + 1)"
    for a, b, m in each(r"(?<=, )-\d(?=[,)])"):
        yield a, b, "0"
    for a, b, m in each(r" (?:[-+*<>]|==|!=|&&|\|\|) "):
        for other in SIGNS[m.group(0)]:
            yield a, b, other


def results(code, start, end, expression, name):
    """Mutations of what is returned: its sign flipped, or nothing of it left."""
    spans = [(start, end)] if expression else [
        (start + m.start(1), start + m.end(1))
        for m in re.finditer(r"\breturn ([^;]+);", code[start:end])]
    for a, b in spans:
        if code[a:b].strip() not in ("NULL", "true", "false"):
            yield a, b, f"sg_neg({code[a:b]})"
            yield a, b, f"sg_sub({code[a:b]}, {code[a:b]})"


def mutants_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = f.read()
    code, seen, same = without_comments(text), set(), collections.Counter()
    for name, start, end, expression in regions(code):
        makers = (results(code, start, end, expression, name), calls(code, start, end),
                  tokens(code, start, end, expression))
        for maker in makers:
            for a, b, new in maker:
                if (a, b, new) in seen or code[a:b].strip() == new.strip():
                    continue
                seen.add((a, b, new))
                change = (name, squeeze(text[a:b]), squeeze(new))
                same[change] += 1
                yield Mutant(path, name, text.count("\n", 0, a) + 1, a, b, new, text[a:b],
                             same[change])


# ---- trying them -------------------------------------------------------------------------------


class Build:
    """Objects and archives made once; a mutant costs one compilation, one link, one run."""

    def __init__(self, folder):
        self.folder = folder
        if not os.path.exists(os.path.join(folder, "build.ninja")):
            self.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                      "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"])
        self.run(["ninja", "-C", folder, "gradcheck"])
        with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as f:
            self.commands = json.load(f)
        links = self.run(["ninja", "-C", folder, "-t", "commands", "gradcheck"])
        if not passes(os.path.join(folder, "bin", "gradcheck")):
            sys.exit("gradcheck finds something wrong before anything is changed")
        self.link = [l for l in links.splitlines() if "gradcheck.c.o" in l and " -c " not in l][-1]

    @staticmethod
    def run(command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def compile(self, path, source, object_):
        """Files that are compiled for each instruction set have their derivatives in the generic one."""
        full = os.path.join(ROOT, path)
        entry = [c for c in self.commands if c["file"] == full]
        entry = [c for c in entry if "SG_ISA=0" in c["command"]] or entry
        command = shlex.split(entry[0]["command"])
        command[command.index("-o") + 1] = object_
        command[command.index(full)] = source
        for flag in ("-MD", "-MT", "-MF"):
            while flag in command:
                at = command.index(flag)
                del command[at : at + (1 if flag == "-MD" else 2)]
        command = [c for c in command if c not in ("-g", "-Werror")] + ["-w"]
        return subprocess.run(command, cwd=entry[0]["directory"], capture_output=True,
                              check=False).returncode == 0

    def links(self, object_, program):
        words = shlex.split(self.link.split("&&")[1] if "&&" in self.link else self.link)
        words[words.index("-o") + 1] = program
        at = next(i for i, w in enumerate(words) if w.endswith(".c.o"))
        words.insert(at, object_)
        return subprocess.run(words, cwd=self.folder, capture_output=True, check=False).returncode == 0


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def passes(program):
    """Whether gradcheck finds nothing wrong: a crash or an endless run is a find."""
    try:
        done = subprocess.run([program, "--seeds", "2", "--first"], capture_output=True, check=False,
                              timeout=SECONDS, preexec_fn=limits)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def attempt(build, m):
    with open(os.path.join(ROOT, m.path), encoding="utf-8") as f:
        text = f.read()
    with tempfile.TemporaryDirectory() as folder:
        source, object_, program = (os.path.join(folder, n) for n in ("mutant.c", "mutant.o", "check"))
        with open(source, "w", encoding="utf-8") as f:
            f.write(text[: m.start] + m.text + text[m.end :])
        if not build.compile(m.path, source, object_):
            return "does not compile"
        if not build.links(object_, program):
            return "does not link"
        return "survives" if passes(program) else "caught"


def equivalents():
    """key -> reason, from mutants.txt: a mutant a line, the reason indented below it."""
    found, last = {}, None
    with open(os.path.join(ROOT, "tests", "mutants.txt"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("#") or not line.strip():
                continue
            if line[0] != " ":
                last = line.strip()
                found[last] = ""
            else:
                found[last] = (found[last] + " " + line.strip()).strip()
    bare = [k for k, reason in found.items() if not reason]
    if bare:
        sys.exit("mutants.txt: no reason is given for\n" + "\n".join(bare))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default=os.path.join(tempfile.gettempdir(), "seqgrad-mutants"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="mutants whose description contains this")
    parser.add_argument("--list", action="store_true", help="name them, try none")
    parser.add_argument("-v", "--verbose", action="store_true", help="name all, not only survivors")
    o = parser.parse_args()

    paths = sorted(os.path.relpath(p, ROOT) for folder in ("core", "ops")
                   for p in glob.glob(os.path.join(ROOT, folder, "*.c")))
    all_ = [m for p in paths for m in mutants_of(p) if o.only in key(m)]
    if o.list:
        print("\n".join(key(m) for m in all_))
        return 0
    known = equivalents()
    build, count, lock = Build(os.path.abspath(o.build)), collections.Counter(), threading.Lock()
    unused = set(known)

    def try_one(m):
        same = key(m) in known
        outcome = attempt(build, m)
        with lock:
            unused.discard(key(m))
            if same and outcome == "caught":
                outcome = "caught, but mutants.txt says it is equivalent"
            elif same:
                outcome = "equivalent"
            count[outcome] += 1
            if o.verbose or outcome not in ("caught", "does not compile", "equivalent"):
                print(f"{m.path}:{m.line}: {outcome}\n    {key(m)}", flush=True)

    with ThreadPoolExecutor(o.jobs) as pool:
        list(pool.map(try_one, all_))
    for k in sorted(unused if not o.only else ()):
        print(f"mutants.txt names what is no mutant any more: {k}")
    tried = count["caught"] + count["survives"]
    rate = count["caught"] / tried if tried else 1
    print(", ".join(f"{n} {what}" for what, n in sorted(count.items())))
    print(f"{len(all_)} mutants, {100 * rate:.1f} % caught of {tried} that compile and differ")
    wrong = unused and not o.only or any(w.startswith("caught,") for w in count)
    return 1 if rate < GOAL or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
