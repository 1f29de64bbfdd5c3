using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What there is about a request that came with a key: one of the records in this file, and of no others.</summary>
public abstract record ApiAnswer
{
    private protected ApiAnswer()
    {
    }
}

/// <summary>It is the first of its key, and is to be done.</summary>
/// <param name="BeganAt">By which its end is known for its own.</param>
public sealed record AnswerWanted(DateTimeOffset BeganAt) : ApiAnswer;

/// <summary>Another one with the key is being done.</summary>
public sealed record AnswerUnderWay : ApiAnswer;

/// <summary>The key was given with a request for something else.</summary>
public sealed record AnswerOfAnother : ApiAnswer;

/// <summary>As it was answered.</summary>
public sealed record AnswerKept(int Status, string Location, string Type, string Body) : ApiAnswer;

/// <summary>Answers to requests that came with a key, for a day, so that who repeats one gets the same answer and nothing is done twice.</summary>
public sealed class ApiAnswerStore(MailDatabase database)
{
    private const int MostForgotten = 100;

    private static readonly TimeSpan s_kept = TimeSpan.FromDays(1);

    /// <summary>Whoever has begun one and has not ended it by then is dead.</summary>
    private static readonly TimeSpan s_underWay = TimeSpan.FromMinutes(1);

    private static readonly Statement s_begin = new(
        """
        INSERT INTO api_answers (name, request, began_at, status, location, type, body) VALUES ($1, $2, $3, 0, '', '', '')
        ON CONFLICT (name) DO UPDATE SET request = excluded.request, began_at = excluded.began_at, status = 0, location = '', type = '', body = ''
            WHERE api_answers.began_at < $4 OR (api_answers.status = 0 AND api_answers.began_at < $5 AND api_answers.request = excluded.request)
        """);

    private static readonly Statement s_find = new("SELECT request, status, location, type, body FROM api_answers WHERE name = $1");

    private static readonly Statement s_end = new("UPDATE api_answers SET status = $2, location = $3, type = $4, body = $5 WHERE name = $1 AND began_at = $6 AND status = 0");

    private static readonly Statement s_giveUp = new("DELETE FROM api_answers WHERE name = $1 AND began_at = $2 AND status = 0");

    private static readonly Statement s_old = new("SELECT name FROM api_answers WHERE began_at < $1 ORDER BY began_at LIMIT $2");

    private static readonly Statement s_forget = new("DELETE FROM api_answers WHERE name = $1 AND began_at < $2");

    /// <param name="name">Of the key, and of whom it came from.</param>
    /// <param name="request">What was asked for.</param>
    public async Task<ApiAnswer> BeginAsync(string name, string request, CancellationToken cancellation)
    {
        var now = database.Time.GetUtcNow();
        var old = await database.QueryAsync(s_old, r => r.GetString(0), cancellation, now - s_kept, MostForgotten);
        var isMine = await database.WriteAsync(async transaction =>
        {
            foreach (var one in old)
                await transaction.ExecuteAsync(s_forget, one, now - s_kept);
            return await transaction.ExecuteAsync(s_begin, name, request, now, now - s_kept, now - s_underWay) > 0;
        });
        if (isMine)
            return new AnswerWanted(now);
        var found = await database.QueryAsync(
            s_find, r => (Request: r.GetString(0), Answer: new AnswerKept(r.GetInt32(1), r.GetString(2), r.GetString(3), r.GetString(4))), cancellation, name);
        return found switch
        {
            [var (asked, _)] when asked != request => new AnswerOfAnother(),
            [var (_, answer)] when answer.Status > 0 => answer,
            _ => new AnswerUnderWay(),
        };
    }

    /// <summary>Keeps the answer, unless somebody else has taken the request over meanwhile.</summary>
    public Task EndAsync(string name, AnswerWanted wanted, AnswerKept answer) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(s_end, name, answer.Status, answer.Location, answer.Type, answer.Body, wanted.BeganAt));

    /// <summary>It was not done, and whoever repeats it begins anew.</summary>
    public Task GiveUpAsync(string name, AnswerWanted wanted) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(s_giveUp, name, wanted.BeganAt));
}
