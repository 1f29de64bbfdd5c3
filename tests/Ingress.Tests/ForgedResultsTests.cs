using System.Text;
using CsCheck;
using MailPipeline.Ingress.Headers;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace MailPipeline.Ingress.Tests;

public sealed class ForgedResultsTests
{
    private const string Own = "mx.example.com";

    [Theory]
    [InlineData("Authentication-Results: mx.example.com; spf=pass\r\n")]
    [InlineData("authentication-RESULTS:MX.Example.COM;none\r\n")]
    [InlineData("Authentication-Results: mx.example.com 1; spf=pass\r\n")]
    [InlineData("Authentication-Results: mx.example.com/1; spf=pass\r\n")]
    [InlineData("Authentication-Results: mx.example.com\r\n")]
    [InlineData("Authentication-Results: mx.example.com(ours);none\r\n")]
    [InlineData("Authentication-Results : mx.example.com.; none\r\n")]
    [InlineData("Authentication-Results \t :\r\n\tmx.example.com;\r\n dkim=pass\r\n\theader.d=example.org\r\n")]
    [InlineData("Authentication-Results:\r\n \r\n\t\r\n mx.example.com; none\r\n")]
    [InlineData("Authentication-Results: (a (nested\\) ) comment)\r\n (and; another) mx.example.com; none\r\n")]
    [InlineData("Authentication-Results: \"mx.example.com\"; none\r\n")]
    [InlineData("Authentication-Results: \"mx\\.example.com\" 1; none\r\n")]
    public void A_field_in_our_name_is_left_out_however_it_is_written(string field)
    {
        foreach (var piece in new[] { 1, 2, 5, 1000 })
        {
            var (kept, count) = Read($"From: a\r\n{field}To: b\r\n\r\n{field}", piece);
            Assert.Equal(($"From: a\r\nTo: b\r\n\r\n{field}", 1), (kept, count));
            Assert.Equal(("", 1), Read(field, piece));
            Assert.Equal(("\r\n", 2), Read($"{field}{field}\r\n", piece));
            Assert.Equal(("", 1), Read(field[..^2], piece));
        }
    }

    [Theory]
    [InlineData("Authentication-Results: other.example.com; spf=pass\r\n")]
    [InlineData("Authentication-Results: mx.example.com.example.net; none\r\n")]
    [InlineData("Authentication-Results: (mx.example.com) other; none\r\n")]
    [InlineData("Authentication-Results: ; mx.example.com\r\n")]
    [InlineData("Authentication-Results:\r\n")]
    [InlineData("Authentication-Results\r\n")]
    [InlineData("Authentication-Results mx.example.com\r\n")]
    [InlineData("Authentication-Result: mx.example.com; none\r\n")]
    [InlineData("Authentication-Results-X: mx.example.com; none\r\n")]
    [InlineData("X-Authentication-Results: mx.example.com; none\r\n")]
    [InlineData("ARC-Authentication-Results: i=1; mx.example.com; none\r\n")]
    [InlineData("Subject: x\r\n Authentication-Results: mx.example.com; none\r\n")]
    [InlineData("Authentication-Results: (never ended mx.example.com; none\r\n")]
    [InlineData("a\r\nAu\r\nno field\r\n \r\n")]
    public void All_else_stays_as_it_came(string fields)
    {
        foreach (var piece in new[] { 1, 2, 5, 1000 })
        {
            Assert.Equal(($"{fields}To: b\r\n\r\ntext", 0), Read($"{fields}To: b\r\n\r\ntext", piece));
            Assert.Equal((fields, 0), Read(fields, piece));
        }
    }

    [Fact]
    public void Whatever_comes_stays_octet_by_octet_but_for_forged_fields()
    {
        var part = Gen.OneOfConst(
            "Authentication-Results", "authentication-results:", ":", " ", "\t", "\r\n", "(", ")", "\"", "\\", ";", "mx.example.com", "other", "a", "A", "\r");
        Gen.Select(part.Array[0, 30], Gen.Int[1, 40]).Sample((parts, piece) =>
        {
            var text = string.Concat(parts);
            var (whole, count) = Read(text, 100_000);
            var (cut, cutCount) = Read(text, piece);
            return whole == cut && count == cutCount && (count > 0 || whole == text);
        }, iter: 20_000);
    }

    /// <summary>Where what is held reaches its bound, the field is over for us, and not for readers: all of it goes, and nothing of it becomes a field.</summary>
    [Fact]
    public void A_name_with_its_colon_at_the_bound_is_left_out_whole()
    {
        const string Forged = "Authentication-Results: mx.example.com; dmarc=pass\r\n";
        for (var pad = ForgedResults.MaxHeldBytes - 60; pad <= ForgedResults.MaxHeldBytes + 10; pad++)
        {
            var field = $"Authentication-Results{new string(' ', pad)}:{Forged}";
            // It names its author up to its second colon.
            var isKept = field.LastIndexOf(':') < ForgedResults.MaxHeldBytes;
            foreach (var piece in new[] { 1, 1000, 100_000 })
                Assert.Equal(($"{(isKept ? field : "")}To: b\r\n\r\n", isKept ? 0 : 1), Read($"{field}To: b\r\n\r\n", piece));
        }
    }

    [Fact]
    public void Whole_fields_go_or_stay_and_none_in_our_name_is_left()
    {
        var pad = Gen.Int[ForgedResults.MaxHeldBytes - 60, ForgedResults.MaxHeldBytes + 20];
        var part = Gen.OneOf(
            Gen.OneOfConst("Authentication-Results", "Authentication-Results: mx.example.com; none\r\n", ":", "(", "\"", "\\", ";", "mx.example.com", "other", "\r\n", "\r\n ", "To: b\r\n", "\r"),
            pad.Select(length => new string(' ', length)), pad.Select(length => new string('(', length)), pad.Select(length => string.Concat(Enumerable.Repeat("\r\n ", length / 3))));
        Gen.Select(part.Array[0, 8], Gen.Int[1, 9000]).Sample((parts, piece) =>
        {
            var text = string.Concat(parts);
            var (kept, count) = Read(text, piece);
            var left = new Queue<string>(Fields(kept));
            var gone = 0;
            foreach (var field in Fields(text))
            {
                if (left.TryPeek(out var next) && next == field)
                    left.Dequeue();
                else if (!field.StartsWith("Authentication-Results", StringComparison.OrdinalIgnoreCase))
                    return false;
                else
                    gone++;
            }

            return left.Count == 0 && gone == count && Read(kept, 100_000) == (kept, 0);
        }, iter: 5_000);
    }

    /// <summary>The fields of a header, each with its folds, and what is behind them.</summary>
    private static List<string> Fields(string text)
    {
        var fields = new List<string>();
        while (text.Length > 0 && !text.StartsWith("\r\n", StringComparison.Ordinal))
        {
            var end = 0;
            do
                end = text.IndexOf('\n', end) is >= 0 and var at ? at + 1 : text.Length;
            while (end < text.Length && text[end] is ' ' or '\t');
            fields.Add(text[..end]);
            text = text[end..];
        }

        fields.Add(text);
        return fields;
    }

    [Fact]
    public void What_hides_its_name_behind_a_long_comment_is_left_out_and_not_held()
    {
        var field = $"Authentication-Results: ({new string('x', 100_000)}) other; none\r\n";
        Assert.Equal(("To: b\r\n", 1), Read($"{field}To: b\r\n", 500));
        Assert.Equal(("To: b\r\n", 1), Read($"Authentication-Results{new string(' ', 100_000)}: other; none\r\nTo: b\r\n", 500));
        var before = GC.GetAllocatedBytesForCurrentThread();
        var results = new ForgedResults(ForgedResults.Key(Own));
        results.Take("Authentication-Results: ("u8.ToArray());
        var piece = Encoding.ASCII.GetBytes(new string('(', 1000));
        for (var i = 0; i < 10_000; i++)
            results.Take(piece);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200_000);
    }

    [Theory]
    [InlineData(null, "mx.example.com", true)]
    [InlineData("results.example.com", "Results.Example.COM", true)]
    [InlineData("results.example.com", "mx.example.com", false)]
    [InlineData("xn--bcher-kva.example", "B\u00fccher.example", true)]
    public async Task What_others_say_in_our_name_is_not_stored_and_counted(string? setting, string named, bool isLeftOut)
    {
        var settings = new Dictionary<string, string>();
        if (setting is not null)
            settings["Ingress:AuthservId"] = setting;
        await using var host = await IngressHost.StartAsync(settings);
        var counted = host.Metric<long>("mailpipeline.ingress.forged_results");
        var forged = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes($"Authentication-Results: {named};\r\n dkim=pass\r\n"));
        const string others = "Authentication-Results: mx.example.net; spf=pass\r\nFrom: x\r\n\r\ntext";
        await using (var client = await Client.GreetedAsync(host.Mx))
            await client.MessageAsync(forged + others);
        var stored = await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId);
        Assert.Equal((isLeftOut ? others : forged + others) + "\r\n", Encoding.Latin1.GetString(stored));
        Assert.Equal(isLeftOut ? 1 : 0, counted.GetMeasurementSnapshot().EvaluateAsCounter());
    }

    [Fact]
    public async Task Of_users_it_is_left_out_too_and_of_servers_of_ours_it_stays()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:Listeners:3:Kind"] = "Lmtp", ["Ingress:Listeners:3:Port"] = "0",
        });
        const string message = "Authentication-Results: mx.example.com; none\r\nFrom: ann@example.com\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\ntext\r\n";
        await using (var client = await Client.AuthenticatedAsync(host.Submission))
        {
            await client.BeginAsync("ann@example.com");
            await client.SendAsync($"{message}.\r\n");
            await client.ExpectAsync("250");
        }

        Assert.Equal(
            message[(message.IndexOf('\n', StringComparison.Ordinal) + 1)..],
            Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
        await using (var client = await Client.ConnectAsync(host.Lmtp))
        {
            await client.SayAsync("LHLO client.example.net", "250");
            await client.SayAsync("MAIL FROM:<x@example.net>", "250");
            await client.SayAsync("RCPT TO:<ann@example.com>", "250");
            await client.SayAsync("DATA", "354");
            await client.SendAsync($"{message}.\r\n");
            await client.ExpectAsync("250");
        }

        Assert.Equal(message, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    private static (string Kept, int Count) Read(string content, int pieceBytes)
    {
        var results = new ForgedResults(ForgedResults.Key(Own));
        var kept = new StringBuilder();
        foreach (var piece in Encoding.Latin1.GetBytes(content).Chunk(pieceBytes))
            kept.Append(Encoding.Latin1.GetString((results.IsOver ? piece : results.Take(piece)).Span));
        if (!results.IsOver)
            kept.Append(Encoding.Latin1.GetString(results.End().Span));
        return (kept.ToString(), results.Count);
    }
}
