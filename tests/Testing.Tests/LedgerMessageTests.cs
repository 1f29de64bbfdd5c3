using System.Text;

namespace MailPipeline.Testing.Tests;

public sealed class LedgerMessageTests
{
    [Fact]
    public void Bodies_are_made_from_seed_and_size()
    {
        Assert.Equal(LedgerBody.Generate(1, 5000), LedgerBody.Generate(1, 5000));
        Assert.NotEqual(LedgerBody.Generate(1, 5000), LedgerBody.Generate(2, 5000));
    }

    [Fact]
    public void Bodies_keep_to_line_limits_and_end_with_a_line_end()
    {
        for (var size = 0; size < 3000; size += 7)
        {
            var text = Encoding.Latin1.GetString(LedgerBody.Generate(size, size));
            Assert.Equal(size + 4, text.Length);
            Assert.StartsWith("\r\n", text);
            Assert.EndsWith("\r\n", text);
            Assert.All(text.Split("\r\n"), line => Assert.True(line.Length <= 998 && !line.AsSpan().ContainsAny('\r', '\n')));
        }
    }

    [Fact]
    public void The_hash_leaves_out_what_was_prepended_and_nothing_else()
    {
        var message = LedgerMessage.Create("t", "sender@example.org", seed: 3, sizeBytes: 4000, new ExpectedRecipient("user@example.com"));
        Assert.Equal(message.BodyHash, Receive("", message.ToArray()).Hash);
        Assert.Equal(message.BodyHash, Receive("Received: from a\r\n\tby b\r\nDKIM-Signature: x\r\n", message.ToArray()).Hash);
        Assert.NotEqual(message.BodyHash, Receive("", [.. message.ToArray(), .. "more\r\n"u8]).Hash);
        Assert.NotEqual(message.BodyHash, Receive("", message.ToArray()[..^40]).Hash);
        Assert.Equal("t", Receive("", message.ToArray()).Token);
    }

    [Fact]
    public void A_token_in_the_body_of_another_message_is_not_its_own() =>
        Assert.Equal("", Receive("", Encoding.ASCII.GetBytes("Subject: x\r\n\r\nX-Ledger-Token: t\r\n")).Token);

    [Fact]
    public void Stuffing_doubles_dots_at_line_starts_only()
    {
        Assert.Equal("..a\r\nb.c\r\n...\r\n..\r\n", Stuff(".a\r\nb.c\r\n..\r\n.\r\n"));
        Assert.Equal("a\n.b\r\n", Stuff("a\n.b\r\n"));
    }

    private static string Stuff(string text) => Encoding.ASCII.GetString(DotStuffing.Stuff(Encoding.ASCII.GetBytes(text)).Span);

    private static (string Hash, string Token) Receive(string prepended, byte[] message)
    {
        using var received = new ReceivedMessage();
        var text = prepended + Encoding.Latin1.GetString(message);
        foreach (var line in text[..text.LastIndexOf("\r\n", StringComparison.Ordinal)].Split("\r\n"))
            received.Append(Encoding.Latin1.GetBytes(line));
        return (received.TakeBodyHash(), received.Token);
    }
}
