"""What these clients have found in the server, one test for each finding. test_schemathesis.py finds them by chance."""

import pytest
import requests


@pytest.mark.parametrize("member", ["created_at", "updated_at"])
def test_a_whole_number_may_be_written_with_a_fraction_of_zero(server, member):
    """To JSON Schema and to Lua 1669029622.0 is an integer. Some clients know no other numbers."""
    answer = requests.post(f"{server.base}/key-sets", data=f'{{"{member}": 1669029622.0}}', timeout=30,
                           headers={"Kong-Admin-Token": server.token, "Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert member == "updated_at" or answer.json()[member] == 1669029622


@pytest.mark.parametrize("form", ["tags=&tags=b", "tags=b&tags=", "tags[]=&tags[]=b", "tags[]=b&tags[]="])
def test_an_empty_item_of_a_list_is_refused_wherever_it_stands(server, form):
    """An empty value is null, a repeated name is a list, and null is no tag."""
    answer = requests.post(f"{server.base}/key-sets", data=form, timeout=30, headers={
        "Kong-Admin-Token": server.token, "Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json().get("code")) == (400, 2), answer.text
