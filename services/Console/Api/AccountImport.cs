using System.Text;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Mail;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console.Api;

/// <param name="Line">From 1 on.</param>
/// <param name="Problem">The name of the problem; null: the account is made.</param>
internal sealed record ImportedLine(int Line, string Address, string? Problem, string? Detail);

/// <summary>
/// Many accounts in one request: a line each, as NDJSON or CSV. Each is made by itself, and has a line in the answer as soon as it is; who repeats all of it
/// makes those that are missing.
/// </summary>
internal static class AccountImport
{
    private const string Lines = "application/x-ndjson";
    private const string Csv = "text/csv";

    /// <summary>An address and a password are shorter.</summary>
    private const int MaxLine = 4096;

    public static void Map(RouteGroupBuilder accounts) => accounts.MapPost("/import", ImportAsync).RequireScope(ApiScopes.Administer)
        .WithSummary("Make many accounts: lines of {\"address\",\"password\"}, or of CSV with a heading 'address,password'")
        .Accepts<string>(Lines, Csv).Produces<ImportedLine>(200, Lines).ProducesProblem(415);

    private static async Task ImportAsync(Accounts accounts, HttpContext context, IOptions<JsonOptions> json, CancellationToken cancellation)
    {
        var type = context.Request.GetTypedHeaders().ContentType?.MediaType.Value ?? "";
        var isCsv = string.Equals(type, Csv, StringComparison.OrdinalIgnoreCase);
        if (!isCsv && !string.Equals(type, Lines, StringComparison.OrdinalIgnoreCase))
        {
            await Problem.Of(StatusCodes.Status415UnsupportedMediaType, "badMediaType", $"The body is to be {Lines} or {Csv}").ExecuteAsync(context);
            return;
        }
        context.Response.ContentType = Lines;
        var options = json.Value.SerializerOptions;
        using var reader = new BoundedLines(context.Request.BodyReader.AsStream(leaveOpen: true), MaxLine);
        var number = 0;
        while (await reader.ReadAsync(cancellation) is { } line)
        {
            number++;
            if (line.Text.Length == 0 && !line.IsTooLong || isCsv && number == 1)
                continue;
            await WriteAsync(await TakeAsync(number, line));
        }

        async Task<ImportedLine> TakeAsync(int at, BoundedLine line)
        {
            if (line.IsTooLong)
                return new ImportedLine(at, "", "badLine", $"It has more than {MaxLine} octets");
            var wanted = isCsv ? OfCsv(line.Text) : OfJson(line.Text, options);
            if (wanted is not { Address: not null, Password: not null })
                return new ImportedLine(at, "", "badLine", isCsv ? "It is to be address,password" : "It is to be {\"address\":\"...\",\"password\":\"...\"}");
            return await DirectoryRoutes.AddAccountAsync(wanted, accounts, context, cancellation) is ProblemHttpResult { ProblemDetails: var problem }
                ? new ImportedLine(at, wanted.Address, problem.Type?[Problem.TypePrefix.Length..], problem.Detail)
                : new ImportedLine(at, wanted.Address, null, null);
        }

        async Task WriteAsync(ImportedLine one)
        {
            await context.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(one, options), cancellation);
            await context.Response.Body.WriteAsync("\n"u8.ToArray(), cancellation);
            await context.Response.Body.FlushAsync(cancellation);
        }
    }

    private static NewAccount? OfJson(string line, JsonSerializerOptions options)
    {
        try
        {
            return JsonSerializer.Deserialize<NewAccount>(line, options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // RFC 4180: a field that is quoted has each of its quotes twice. An address has no comma unless it is quoted.
    private static NewAccount? OfCsv(string line)
    {
        var fields = new List<string>();
        for (var at = 0; at <= line.Length;)
        {
            var field = new StringBuilder();
            if (at < line.Length && line[at] == '"')
            {
                for (at++; at < line.Length; at++)
                {
                    if (line[at] != '"')
                        field.Append(line[at]);
                    else if (at + 1 < line.Length && line[at + 1] == '"')
                        field.Append(line[at++]);
                    else
                        break;
                }
                if (at >= line.Length || ++at < line.Length && line[at] != ',')
                    return null;
            }
            else
            {
                var end = line.IndexOf(',', at);
                field.Append(line.AsSpan(at, (end < 0 ? line.Length : end) - at));
                at = end < 0 ? line.Length : end;
            }
            fields.Add(field.ToString());
            at++;
        }
        return fields is [var address, var password] ? new NewAccount(address, password) : null;
    }
}
