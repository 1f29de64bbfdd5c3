using System.Net;
using MailPipeline.Authentication.Spf;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Tests.Spf;

/// <summary>
/// A zone and what it says of clients. Lines with "->" are cases: "ip helo sender -> result; explanation". The sender is "-" for the null
/// path; "helo" asks about the greeting. All others are the zone's.
/// </summary>
internal static class SpfScenario
{
    public static TheoryData<string, string> Of(params (string Name, string Text)[] scenarios)
    {
        var rows = new TheoryData<string, string>();
        foreach (var (name, text) in scenarios)
        {
            foreach (var line in text.Split('\n').Select(line => line.Trim()).Where(IsCase))
                rows.Add(name, line);
        }

        return rows;
    }

    public static async Task<(SpfResult Found, ZoneDns Dns)> RunAsync(string text, string line, SpfLimits? limits = null)
    {
        var dns = new ZoneDns(string.Join('\n', text.Split('\n').Where(other => !IsCase(other))));
        var words = line.Split("->")[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var client = IPAddress.Parse(words[0]);
        var question = words[2] switch
        {
            "helo" => SpfQuestion.OfHelo(client, words[1]),
            "-" => SpfQuestion.OfSender(client, words[1], null),
            var sender when SmtpAddress.TryParse(sender, out var address, allowUtf8: true) => SpfQuestion.OfSender(client, words[1], address),
            // What no envelope could have.
            var sender => new SpfQuestion(client, words[1], SpfIdentity.MailFrom, sender.Split('@')[0], sender.Split('@')[1]),
        };
        question = question with { Receiver = "mx.receiver.example", Now = DateTimeOffset.UnixEpoch.AddSeconds(1_893_456_000) };
        var found = await new SpfCheck(dns, limits).CheckAsync(question, null, TestContext.Current.CancellationToken);
        var expected = line.Split("->")[1].Trim();
        var said = AuthenticationWords.Of(found.Status) + (expected.Contains(';', StringComparison.Ordinal) || found.Explanation.Length > 0 ? $"; {found.Explanation}" : "");
        Assert.True(expected == said.TrimEnd(), $"{line}\ngot: {said}\n({found.Reason} {found.Mechanism})");
        return (found, dns);
    }

    private static bool IsCase(string line) => line.Contains("->", StringComparison.Ordinal);
}
