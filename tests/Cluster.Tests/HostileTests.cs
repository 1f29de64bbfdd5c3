using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>In mail whatever it is is only bytes: it stops no process and no other mail.</summary>
[Collection(ImpatientCluster.Name)]
public sealed class HostileTests(ImpatientCluster shared)
{
    [Fact]
    public async Task Hostile_content_arrives_as_it_was_sent_and_is_reported_when_refused()
    {
        await using var run = await ClusterRun.EnterAsync(shared, "hostile", "ann");
        run.AddSink(SinkScript.AcceptAll, "far.example");
        run.AddSink(SinkScript.AcceptAll, "senders.example");
        run.AddSink(FarEnd.Rejecting.Script, "reject.example");
        await run.SendAsync([.. HostileContent.All.Select((content, i) => new LedgerMessage(
            $"t{i}", $"s@{run.Domain("senders.example")}",
            [new($"r{i}@{run.Domain("far.example")}"), new($"ann@{run.Local}"), FarEnd.Rejecting.Expect($"r{i}@{run.Domain("reject.example")}")],
            content.Body, content.Headers))]);
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        await run.ReadMaildropsAsync(["ann"]);

        var evidence = await run.EvidenceAsync();
        Assert.All(evidence.Records.OfType<Answer>(), answer => Assert.True(answer.Reply == 250, $"{HostileContent.All[int.Parse(answer.Token[1..], null)].Name}: {answer.Text}"));
        Assert.All(run.Cluster.Services, service => Assert.True(service.IsRunning, $"{service.Name} ended\n{service.Output}"));
        await run.AssertCleanAsync(evidence);
    }
}

/// <summary>Content that servers, parsers and readers have stumbled over; after the ledger's own header lines.</summary>
/// <param name="Headers">Further header lines.</param>
/// <param name="Body">Beginning with the empty line after the header, if it has one.</param>
internal sealed record HostileContent(string Name, string Headers, byte[] Body)
{
    public static IReadOnlyList<HostileContent> All { get; } =
    [
        new("header line of 20,000 octets", $"X-Long: {new string('x', 20_000)}\r\n", Text("\r\nbody\r\n")),
        new("2,000 header lines", string.Concat(Enumerable.Range(0, 2000).Select(i => $"X-H{i}: {i}\r\n")), Text("\r\nbody\r\n")),
        new("header of 100,000 octets", string.Concat(Enumerable.Range(0, 1000).Select(i => $"X-Fold: {new string('y', 50)}\r\n\t{new string('z', 38)}\r\n")), Text("\r\nbody\r\n")),
        new("8-bit garbage", "", [.. Text("\r\n"), .. Garbage(20_000), .. Text("\r\n")]),
        new("8-bit garbage in the header", "X-Latin: caf\u00e9\r\n", [.. Text("X-Garbage: "), .. Garbage(500), .. Text("\r\n\r\nbody\r\n")]),
        new("no empty line", "", Text("this is no header line\r\nnor this: is it\r\n")),
        new("nothing but the header", "", []),
        new("a line of 999 octets", "", Text($"\r\n{new string('a', 999)}\r\n")),
        new("a line of 100,000 octets", "", Text($"\r\n{new string('a', 100_000)}\r\n")),
        new("dots", "", Text("\r\n.\r\n..\r\n...\r\n.x\r\n")),
        new("parts within parts", "MIME-Version: 1.0\r\n", Nested(500)),
        new("messages within messages", "MIME-Version: 1.0\r\n", Text(string.Concat(Enumerable.Repeat("Content-Type: message/rfc822\r\n\r\n", 2000)) + "end\r\n")),
        new("10,000 parts", "MIME-Version: 1.0\r\n", Text("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + string.Concat(Enumerable.Repeat("--b\r\n\r\n\r\n", 10_000)) + "--b--\r\n")),
        new("a part without end", "MIME-Version: 1.0\r\n", Text("Content-Type: multipart/mixed; boundary=\"\r\n\r\n--\r\n--\r\n")),
        new("a report of somebody else", "MIME-Version: 1.0\r\n", Text("Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n: ;;\r\n\r\n--b\r\n")),
        new("unknown encodings", "MIME-Version: 1.0\r\nContent-Transfer-Encoding: x-bomb\r\nContent-Type: text/plain; charset=\"no\r\n", Text("Subject: =?utf-8?B?////?= =?x?Q?=ff=?=\r\n\r\n=\r\n=XX\r\n")),
    ];

    private static byte[] Text(string text) => Encoding.ASCII.GetBytes(text);

    /// <summary>Every octet but NUL, CR and LF.</summary>
    private static byte[] Garbage(int length)
    {
        var octets = Enumerable.Range(1, 255).Where(octet => octet is not ('\r' or '\n')).Select(octet => (byte)octet).ToArray();
        return new Random(length).GetItems(octets, length);
    }

    private static byte[] Nested(int depth)
    {
        var text = new StringBuilder();
        for (var i = 0; i < depth; i++)
            text.Append(null, $"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n");
        return Text(text.Append("\r\nend\r\n").ToString());
    }
}
