namespace MailPipeline.Testing;

/// <summary>All attempts of the load client to hand in one message, taken together.</summary>
internal sealed class Submission
{
    private readonly Dictionary<string, SubmittedRecipient> _recipients;

    private Submission(Intent intent, Dictionary<string, SubmittedRecipient> recipients)
    {
        Intent = intent;
        _recipients = recipients;
    }

    private Intent Intent { get; }

    public string Token => Intent.Token;

    public string Sender => Intent.Sender;

    public string BodyHash => Intent.BodyHash;

    public long SizeBytes => Intent.SizeBytes;

    public string Return => Intent.Return;

    public IEnumerable<SubmittedRecipient> Recipients => _recipients.Values;

    public SubmittedRecipient? Find(string address) => _recipients.GetValueOrDefault(address);

    public static Dictionary<string, Submission> Collect(IReadOnlyList<LedgerRecord> records)
    {
        var answers = records.OfType<Answer>().ToDictionary(a => (a.Token, a.Attempt));
        return records.OfType<Intent>()
            .GroupBy(i => i.Token)
            .ToDictionary(g => g.Key, g => new Submission(g.First(), Count(g.ToList(), answers)));
    }

    private static Dictionary<string, SubmittedRecipient> Count(List<Intent> intents, Dictionary<(string, int), Answer> answers)
    {
        var recipients = new Dictionary<string, SubmittedRecipient>(StringComparer.OrdinalIgnoreCase);
        var expected = intents[0].Recipients;
        for (var i = 0; i < expected.Length; i++)
        {
            var accepted = 0;
            var unanswered = 0;
            foreach (var intent in intents)
            {
                // An intent without an answer: the client itself ended; anything may have happened.
                if (!answers.TryGetValue((intent.Token, intent.Attempt), out var answer))
                    unanswered++;
                else if (answer.RecipientReplies[i] is >= 200 and < 300 && answer.Reply is >= 200 and < 300)
                    accepted++;
                else if (answer.RecipientReplies[i] is >= 200 and < 300 && answer is { Reply: 0, DotSent: true })
                    unanswered++;
            }
            recipients[expected[i].Address] = new(expected[i], accepted, unanswered);
        }
        return recipients;
    }
}

/// <summary>One recipient of a submission.</summary>
/// <param name="Accepted">Times the recipient and then the message were answered with 2xx.</param>
/// <param name="Unanswered">Times the end of data was sent and no reply came.</param>
internal sealed record SubmittedRecipient(ExpectedRecipient Expected, int Accepted, int Unanswered);
