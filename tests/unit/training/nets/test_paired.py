"""Two columns at once give what one gives, forward and back."""

import pytest
import torch
from torch import nn

from mesoscope.training.nets.mesonet import Meso4
from mesoscope.training.nets.network import PairedConv2d


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("width", [2, 12, 13])
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_answers_and_gradients_are_those_of_conv2d(k, width, memory):
    torch.manual_seed(k)
    plain, paired = (make(3, 8, k, padding="same").double() for make in (nn.Conv2d, PairedConv2d))
    paired.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 9, width, dtype=torch.float64).contiguous(memory_format=memory)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    answers = [net(each) for net, each in zip((plain, paired), inputs, strict=True)]
    torch.testing.assert_close(*answers)
    weights = torch.randn_like(answers[0])
    for answer in answers:
        (answer * weights).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(plain.weight.grad, paired.weight.grad)
    torch.testing.assert_close(plain.bias.grad, paired.bias.grad)


def test_evaluation_takes_the_plain_way():
    conv = PairedConv2d(3, 8, 3, padding="same").eval()
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(conv(x), nn.Conv2d.forward(conv, x))


def test_only_narrow_blocks_are_paired():
    net = Meso4()
    blocks = (net.block1, net.block2, net.block3, net.block4)
    paired = [isinstance(block.convolution, PairedConv2d) for block in blocks]
    assert paired == [True, True, False, False]
