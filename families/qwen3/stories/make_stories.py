#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes short children's stories from a grammar of our own: the training text of the bundled model.

    make_stories.py --count 60000 --seed 1 --out stories.jsonl

One JSON object per line: {"request": "Tell me a story about ...", "story": "..."}. Names, pronouns and
objects stay consistent inside a story, so a small model can learn to be coherent.
"""
import argparse
import json
import random

GIRLS = ["Mia", "Lily", "Nora", "Ada", "Ruby", "Zoe", "Ella", "Ivy", "Clara", "Hazel"]
BOYS = ["Tom", "Ben", "Leo", "Max", "Sam", "Finn", "Theo", "Jack", "Otto", "Hugo"]
ANIMALS = ["fox", "rabbit", "bear", "mouse", "owl", "hedgehog", "squirrel", "otter", "duck", "cat"]
PLACES = {
    "the forest": ("under the old oak tree", "The leaves rustled in the wind."),
    "the village": ("behind the bakery", "The church bell rang far away."),
    "the beach": ("between two round rocks", "Little waves rolled over the sand."),
    "the garden": ("below the apple tree", "Bees hummed around the flowers."),
    "the farm": ("in the tall hay", "A cow looked over the fence."),
    "the mountain": ("beside the cold stream", "Snow shone on the highest peak."),
    "the park": ("near the wooden bench", "Ducks swam across the pond."),
    "the harbor": ("inside an empty barrel", "The boats rocked on the water."),
}
OBJECTS = ["kite", "ball", "lantern", "hat", "basket", "drum", "book", "scarf", "bell", "boat", "key", "map"]
COLORS = ["red", "blue", "green", "yellow", "white", "silver", "golden", "purple"]
FOODS = ["bread", "honey cake", "apple pie", "soup", "warm milk", "berries", "cookies", "cheese"]
TRAITS = {
    "kind": "{S} always helped others.",
    "brave": "{S} was not afraid of the dark.",
    "curious": "{S} asked questions all day long.",
    "clever": "{S} liked to solve riddles.",
    "shy": "{S} did not talk very much.",
    "funny": "{S} could make everyone laugh.",
}
WEATHER = ["One sunny morning", "One rainy day", "One windy afternoon", "One cold morning", "One quiet evening",
           "One bright day", "Early in the morning", "Late in the afternoon"]
LESSONS = {
    "share": "Sharing makes every day better.",
    "help": "A good friend helps when you need it most.",
    "try": "If you try again and again, you will succeed.",
    "truth": "It is always better to tell the truth.",
    "patience": "Good things come to those who wait.",
}


class Hero:
    def __init__(self, rng, taken=()):
        self.name = rng.choice([n for n in GIRLS + BOYS if n not in taken])
        girl = self.name in GIRLS
        self.kind = rng.choice(["girl" if girl else "boy"] + rng.sample(ANIMALS, 3))
        self.s, self.o, self.p = ("she", "her", "her") if girl else ("he", "him", "his")
        self.trait = rng.choice(list(TRAITS))

    @property
    def S(self):
        return self.s.capitalize()


def article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def opening(r, h, place):
    start = r.choice(["Once upon a time,", "Long ago,", "Many years ago,", "Once,"])
    size = r.choice(["little", "small", "young"])
    text = f"{start} there was a {size} {h.kind} named {h.name}. {h.name} lived in {place}. "
    if r.random() < 0.7:
        text += f"{h.name} was very {h.trait}. " + TRAITS[h.trait].replace("{S}", h.S) + " "
    return text


def lost_object(r, h, f, place, obj, color):
    spot, scene = PLACES[place]
    return (f"{h.S} had a {color} {obj} and loved it very much. {r.choice(WEATHER)}, the {obj} was gone. "
            f"{h.name} looked everywhere, but {h.s} could not find it. {scene} "
            f"Then {h.s} met {f.name} the {f.kind}. \"Why are you sad?\" asked {f.name}. "
            f"\"I lost my {color} {obj},\" said {h.name}. \"Do not worry,\" said {f.name}. \"I will help you look.\" "
            f"They searched together until the sun was low. At last, {f.name} found the {obj} {spot}. "
            f"{h.name} was so happy that {h.s} hugged {f.name}.", "help")


def share_food(r, h, f, place, obj, color):
    food = r.choice(FOODS)
    _, scene = PLACES[place]
    return (f"{r.choice(WEATHER)}, {h.p} grandmother gave {h.o} some {food}. {h.name} wanted to eat all of it alone. "
            f"{scene} Then {f.name} the {f.kind} came by. {f.name} had not eaten all day. "
            f"\"I am so hungry,\" said {f.name}. {h.name} thought about it for a moment. "
            f"\"Come and sit with me,\" said {h.name}. \"There is enough {food} for two.\" "
            f"They ate together and told each other jokes. The {food} tasted better than ever before. "
            f"The next day, {f.name} came back and gave {h.name} a {color} {obj}.", "share")


def build_thing(r, h, f, place, obj, color):
    _, scene = PLACES[place]
    return (f"{r.choice(WEATHER)}, {h.name} wanted to make a {color} {obj}. {h.S} worked for a long time, but the {obj} "
            f"broke. {h.name} felt sad. {scene} {f.name} the {f.kind} saw what had happened. "
            f"\"You should try again,\" said {f.name}. So {h.name} tried again, and the {obj} broke again. "
            f"\"It is too hard,\" said {h.name}. \"One more time,\" said {f.name}, \"and this time I will hold it for you.\" "
            f"{h.name} tried a third time, slowly and carefully. Now the {color} {obj} was perfect. "
            f"Everyone in {place} came to see it, and {h.name} was very proud.", "try")


def broken_object(r, h, f, place, obj, color):
    _, scene = PLACES[place]
    return (f"{f.name} the {f.kind} was {h.p} best friend. {f.name} had a beautiful {color} {obj}. "
            f"{r.choice(WEATHER)}, {h.name} played with the {obj} and dropped it. Now there was a big crack in it. "
            f"{scene} {h.name} was afraid and hid the {obj}. When {f.name} came, {f.s} asked, \"Where is my {obj}?\" "
            f"{h.name} looked at the ground. \"I am sorry,\" said {h.name}. \"I dropped it, and it broke.\" "
            f"{f.name} was quiet for a moment. Then {f.s} smiled. \"Thank you for telling me,\" said {f.name}. "
            f"\"We can fix it together.\" They worked until evening, and the {obj} looked as good as new.", "truth")


def grow_seed(r, h, f, place, obj, color):
    spot, scene = PLACES[place]
    flower = r.choice(["flower", "rose", "sunflower", "tulip"])
    return (f"{r.choice(WEATHER)}, {h.name} found a tiny seed. {h.S} planted it {spot} and gave it water. "
            f"The next day, {h.name} looked at the ground, but nothing had changed. \"Why does it not grow?\" asked {h.name}. "
            f"{scene} {f.name} the {f.kind} laughed softly. \"You must wait,\" said {f.name}. "
            f"So {h.name} waited and gave the seed water every day. {f.name} often came to sit with {h.o}. "
            f"After many days, there was a small green leaf. Soon a tall {color} {flower} stood there. "
            f"\"It was worth the wait,\" said {h.name}.", "patience")


def night_walk(r, h, f, place, obj, color):
    spot, scene = PLACES[place]
    return (f"{r.choice(['One dark night', 'One night', 'One stormy night'])}, {h.name} heard a strange sound outside. "
            f"{h.S} took a {color} lantern and went to look. {scene} \"Who is there?\" called {h.name}. "
            f"\"It is only me,\" said a small voice. It was {f.name} the {f.kind}, sitting {spot}. "
            f"{f.S} had lost the way home and was cold. \"Come with me,\" said {h.name}. "
            f"{h.name} held up the lantern, and they walked side by side. Soon they saw a light in a window. "
            f"\"That is my house!\" cried {f.name}. {f.name}'s mother thanked {h.name} and gave {h.o} some {r.choice(FOODS)}.", "help")


SCHEMES = [lost_object, share_food, build_thing, broken_object, grow_seed, night_walk]


def ending(r, h, f, lesson):
    last = r.choice([
        f"From that day on, {h.name} and {f.name} were best friends.",
        f"{h.name} and {f.name} played together every day after that.",
        f"That night, {h.name} went to bed with a smile.",
        f"{h.name} never forgot that day.",
    ])
    return f" {last}" + (f" {h.name} had learned something important: {LESSONS[lesson]}" if r.random() < 0.6 else "") + " The end."


def make(r):
    h = Hero(r)
    f = Hero(r, taken=(h.name,))
    place, obj, color = r.choice(list(PLACES)), r.choice(OBJECTS), r.choice(COLORS)
    scheme = r.choice(SCHEMES)
    body, lesson = scheme(r, h, f, place, obj, color)
    story = opening(r, h, place) + body + ending(r, h, f, lesson)
    mentions_object = f" {obj}" in body
    asks = [f"a {h.kind} named {h.name}", f"{h.name} and {f.name}", f"{article(h.kind)} in {place}",
            f"{article(h.kind)} and {article(f.kind)}", article(h.kind)]
    if mentions_object:
        asks += [f"{article(h.kind)} and a {color} {obj}", f"a {color} {obj}", f"a {obj}"]
    request = r.choice(["Tell me a story about", "Write a story about", "Please tell a story about", "A story about"])
    return {"request": f"{request} {r.choice(asks)}.", "story": story}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--count", type=int, default=60000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    r = random.Random(a.seed)
    with open(a.out, "w", encoding="utf-8") as out:
        for _ in range(a.count):
            out.write(json.dumps(make(r)) + "\n")


if __name__ == "__main__":
    main()
