"""Pages of changes say in brief what is best."""

import explorer


def test_respins_and_adaptations_begin_with_an_answer():
    policies = explorer.respins("gpt-oss-120b", fabrics=("mask_rom",), every=(0, 1)).document()
    ways = explorer.adapt("gpt-oss-120b").document()
    for document, words in ((policies, "Cheapest is mask ROM"), (ways, "Adapters: ")):
        brief = document.sections[0]
        assert brief.title == "In brief" and words in brief.parts[0]
