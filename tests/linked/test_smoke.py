from tests.linked.conftest import Household


def test_photo_is_linked(household: Household) -> None:
    photo = household.photo()
    household.clone(photo, household.anna)
    household.clone(photo, household.ben)
    assert household.owned(household.clara) == 0
